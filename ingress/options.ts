/** Settings of the ingest port: schema, defaults, units. Every bound of the door that a user may move stands here. */

import { wholeNumber, z } from '../engine/core/schema.ts';
import { accessSchema } from './access/options.ts';
import { tlsOptionsSchema } from './tls/options.ts';

const KIB = 1024;
const MIB = 1024 ** 2;
const COSTS_BYTES_DEFAULT = 4 * MIB;

export const ingressOptionsSchema = z
  .strictObject({
    host: z.string().min(1).max(255).default('0.0.0.0').describe('address to listen on'),
    port: wholeNumber(0, 65_535).default(8080).describe('0: any free port'),
    connections_max: wholeNumber(1, 1_000_000).default(10_000).describe('further ones get 503 and are closed; lowered where the limit of open files leaves less than it and 512 others'),
    // What is larger would be answered 200 and then rejected: the decoder reads no more, and dead letters keep no more.
    record_bytes_max: wholeNumber(KIB, MIB).default(MIB).describe('one record, 1 MiB at most: a push body (413 beyond it), or one record of /v1/events (TOO_LARGE, its head is kept)'),
    events_bytes_max: wholeNumber(KIB, 256 * MIB).default(16 * MIB).describe('body of one /v1/events request'),
    events_records_max: wholeNumber(1, 1_000_000).default(100_000).describe('records in one /v1/events request'),
    costs_bytes_max: wholeNumber(KIB, 64 * MIB).default(COSTS_BYTES_DEFAULT).describe('body of one PUT /v1/costs; half of in_flight_bytes_max where that is less'),
    costs_rows_max: wholeNumber(1, 200_000).default(20_000).describe('rows in one PUT /v1/costs'),
    // uWebSockets.js reads its limit once per process, from the environment: see setHeadBytesMax in http/uws.ts.
    head_bytes_max: wholeNumber(4 * KIB, 256 * KIB).default(32 * KIB).describe('request line and headers; a GET push carries its record there'),
    in_flight_bytes_max: wholeNumber(MIB, 8 * 1024 * MIB).default(64 * MIB).describe('bodies being received and records not yet durable; beyond it the door answers 503'),
    batch_bytes_max: wholeNumber(64 * KIB, 8 * MIB).default(4 * MIB).describe('a batch that has grown to this size is committed at once'),
    header_timeout_ms: wholeNumber(100, 600_000).default(10_000).describe('from the first byte of a request to the end of its headers (uWebSockets.js: always 10 s)'),
    body_timeout_ms: wholeNumber(100, 600_000).default(10_000).describe('from the end of the headers to the last byte of the body'),
    idle_timeout_ms: wholeNumber(100, 600_000).default(10_000).describe('a kept connection without a request (uWebSockets.js: always 10 s)'),
    linger_timeout_ms: wholeNumber(0, 60_000).default(2_000).describe('how long the rest of a refused body is read and thrown away, so that its sender sees the answer'),
    ...accessSchema.shape,
    tls: tlsOptionsSchema.prefault({}),
  })
  .superRefine((options, context) => {
    if ((options.tls.cert_file === '') !== (options.tls.key_file === '')) context.addIssue({ code: 'custom', path: ['tls', options.tls.key_file === '' ? 'cert_file' : 'key_file'], message: 'cert_file and key_file go together: set both' });
    if (options.tls.client_ca_file !== '' && options.tls.cert_file === '') context.addIssue({ code: 'custom', path: ['tls', 'client_ca_file'], message: 'needs cert_file and key_file' });
    if (options.record_bytes_max > options.events_bytes_max) context.addIssue({ code: 'custom', path: ['record_bytes_max'], message: 'must not be above events_bytes_max' });
    // Whoever has not set it need not know of it: the default gives way, see costsBytesMax.
    if (options.costs_bytes_max !== COSTS_BYTES_DEFAULT && options.costs_bytes_max > options.in_flight_bytes_max / 2) context.addIssue({ code: 'custom', path: ['costs_bytes_max'], message: 'must be at most half of in_flight_bytes_max, or such a body could never be taken' });
    if (options.events_bytes_max > options.in_flight_bytes_max / 2) context.addIssue({ code: 'custom', path: ['events_bytes_max'], message: 'must be at most half of in_flight_bytes_max, or such a body could never be taken' });
  });

export type IngressOptions = Readonly<z.output<typeof ingressOptionsSchema>>;

/** As set, or what the budget leaves to the default. */
export const costsBytesMax = (options: Pick<IngressOptions, 'costs_bytes_max' | 'in_flight_bytes_max'>): number => Math.min(options.costs_bytes_max, Math.floor(options.in_flight_bytes_max / 2));

export type DoorChoice = 'auto' | 'uws' | 'node';
