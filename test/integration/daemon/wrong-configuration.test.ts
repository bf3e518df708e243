/** What a daemon does with a configuration that is wrong: it ends with 2 before it touches anything, and one line names key, value and fix. */

import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { useDaemons } from './harness.ts';

const { scratch, refused, usedDirectory } = useDaemons();

describe('a wrong configuration', () => {
  it.each([
    ['an unknown key of the file', 'ingest:\n  prot: 8080\n', {}, /ingest\.prot.*no such setting.*ingest\.port/],
    ['a bad value of the file', 'checkpoint:\n  interval_ms: soon\n', {}, /checkpoint\.interval_ms.*"soon".*MILLRACE_CHECKPOINT_INTERVAL_MS/],
    ['an unknown variable', '', { MILLRACE_INGEST_PROT: '8080' }, /MILLRACE_INGEST_PROT.*no such setting.*MILLRACE_INGEST_PORT/],
    ['a bad value of a variable', '', { MILLRACE_INGEST_PORT: '808080' }, /ingest\.port.*"808080".*65535.*MILLRACE_INGEST_PORT/],
    ['an unknown dimension', 'cells:\n  dimension_limits:\n    colour: 5\n', {}, /cells\.dimension_limits\.colour.*campaign_id/],
    ['a segment that no batch fits', '', { MILLRACE_JOURNAL_SEGMENT_BYTES: '4194304' }, /journal\.segment_bytes.*4194304.*16777216.*MILLRACE_JOURNAL_SEGMENT_BYTES/],
    ['one port for both listeners', '', { MILLRACE_INGEST_PORT: '18080', MILLRACE_ADMIN_PORT: '18080' }, /admin\.port.*18080.*ingest\.port/],
    ['milliseconds with Pull, whose rows have none', 'pull: { apps: [com.example.shop], token: secret }\n', {}, /dedupe\.mode: "push-ms".*push\+pull-seconds.*MILLRACE_DEDUPE_MODE/],
    ['a dedupe horizon that Pull outlasts', 'pull: { apps: [com.example.shop], token: secret }\n', { MILLRACE_DEDUPE_MODE: 'push+pull-seconds', MILLRACE_DEDUPE_HORIZON_HOURS: '47' }, /dedupe\.horizon_hours: 47: shorter than the 48 h of pull\.overlap_hours.*72.*MILLRACE_DEDUPE_HORIZON_HOURS/],
    ['a file that is no YAML', 'ingest: [\n', {}, /millrace\.yaml is no valid YAML/],
  ])('ends with 2 and names key, value and fix: %s', async (_, yaml, env, line) => {
    writeFileSync(join(scratch.path, 'millrace.yaml'), yaml);
    const end = await refused({ dataDir: scratch.path, env });
    expect(end).toEqual({ code: 2, lines: [expect.stringMatching(line)] });
    expect(readdirSync(scratch.path)).toEqual(['millrace.yaml']);
  });

  it('is told by the supervising parent alike, once', async () => {
    const end = await refused({ dataDir: scratch.path, env: { MILLRACE_INGEST_PORT: '-1' }, supervise: true });
    expect(end).toEqual({ code: 2, lines: [expect.stringMatching(/ingest\.port/)] });
  });

  it('includes a partition count that the directory was not made with', async () => {
    await usedDirectory(scratch.path, 1);
    const end = await refused({ dataDir: scratch.path, env: { MILLRACE_PARTITIONS: '8' } });
    expect(end).toEqual({ code: 2, lines: [expect.stringMatching(/partitions.*8.*32/)] });
  });
});
