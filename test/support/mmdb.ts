/**
 * Writes tiny GeoIP files in MaxMind's format (version 2.0 of its public specification), so that tests need no file that may not be shipped:
 * a binary tree over addresses, the records, and the metadata behind its marker.
 */

export type MmdbValue = string | number | readonly MmdbValue[] | { readonly [key: string]: MmdbValue };

export interface MmdbNetwork {
  /** `192.0.2.0/24`, or IPv6 groups written out without `::` but at the end: `2001:db8::/32`. */
  readonly network: string;
  readonly record: MmdbValue;
}

const RECORD_BITS = 24;
const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
const SEPARATOR = Buffer.alloc(16);
const TYPES = { string: 2, uint32: 6, map: 7, array: 11 } as const;

interface Node {
  children: [Node | number | null, Node | number | null];
}

/** `ipVersion` 6 holds IPv4 networks too, at `::/96`. */
export function mmdb(networks: readonly MmdbNetwork[], { ipVersion = 6 }: { readonly ipVersion?: 4 | 6 } = {}): Buffer {
  const records: Buffer[] = [];
  let recordBytes = 0;
  const root: Node = { children: [null, null] };
  for (const { network, record } of networks) {
    put(root, bitsOf(network, ipVersion), recordBytes);
    const encoded = encode(record);
    records.push(encoded);
    recordBytes += encoded.byteLength;
  }
  const nodes = numbered(root);
  const tree = Buffer.alloc(nodes.length * 6);
  nodes.forEach((node, number) => {
    node.children.forEach((child, side) => {
      const value = child === null ? nodes.length : typeof child === 'number' ? nodes.length + SEPARATOR.byteLength + child : nodes.indexOf(child);
      tree.writeUIntBE(value, number * 6 + side * 3, 3);
    });
  });
  const metadata = { node_count: nodes.length, record_size: RECORD_BITS, ip_version: ipVersion, database_type: 'Millrace-Test', languages: ['en'], binary_format_major_version: 2, binary_format_minor_version: 0, build_epoch: 1_780_000_000 };
  return Buffer.concat([tree, SEPARATOR, ...records, MARKER, encode(metadata)]);
}

function put(root: Node, bits: readonly number[], record: number): void {
  let node = root;
  for (const bit of bits.slice(0, -1)) {
    const next = node.children[bit as 0 | 1];
    if (typeof next === 'number') throw new Error('networks of a test do not overlap');
    node = next ?? (node.children[bit as 0 | 1] = { children: [null, null] });
  }
  node.children[bits.at(-1) as 0 | 1] = record;
}

function numbered(root: Node): Node[] {
  const nodes = [root];
  for (let at = 0; at < nodes.length; at++) for (const child of (nodes[at] as Node).children) if (child !== null && typeof child !== 'number') nodes.push(child);
  return nodes;
}

function bitsOf(network: string, ipVersion: 4 | 6): number[] {
  const [address = '', prefix = ''] = network.split('/');
  const isV4 = address.includes('.');
  const bytes = isV4 ? address.split('.').map(Number) : groupsOf(address).flatMap((group) => [group >> 8, group & 0xff]);
  const bits = bytes.flatMap((byte) => Array.from({ length: 8 }, (_, at) => (byte >> (7 - at)) & 1)).slice(0, Number(prefix));
  return isV4 && ipVersion === 6 ? [...new Array<number>(96).fill(0), ...bits] : bits;
}

function groupsOf(address: string): number[] {
  const groups = address.replace(/::$/, '').split(':').map((group) => parseInt(group, 16));
  return [...groups, ...new Array<number>(8 - groups.length).fill(0)];
}

function encode(value: MmdbValue): Buffer {
  if (typeof value === 'string') {
    const text = Buffer.from(value);
    return Buffer.concat([head(TYPES.string, text.byteLength), text]);
  }
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return Buffer.concat([head(TYPES.uint32, 4), bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([head(TYPES.array, value.length), ...(value as readonly MmdbValue[]).map(encode)]);
  const entries = Object.entries(value as { readonly [key: string]: MmdbValue });
  return Buffer.concat([head(TYPES.map, entries.length), ...entries.flatMap(([key, inner]) => [encode(key), encode(inner)])]);
}

function head(type: number, size: number): Buffer {
  const first = size < 29 ? size : 29;
  const control = type > 7 ? [first, type - 7] : [(type << 5) | first];
  return Buffer.from(size < 29 ? control : [...control, size - 29]);
}

/** A record as MaxMind's city files have it. */
export const cityRecord = ({ country, continent, state, city }: { readonly country: string; readonly continent: string; readonly state: string; readonly city: string }): MmdbValue => ({
  continent: { code: continent, names: { en: continent } },
  country: { iso_code: country, names: { en: country } },
  subdivisions: [{ iso_code: state, names: { en: state } }],
  city: { names: { de: `${city} (de)`, en: city } },
});
