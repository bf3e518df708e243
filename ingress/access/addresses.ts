/**
 * Whose address a request comes from, and whether it is among those that may send.
 *
 * The address is the connection's own unless that is a trusted proxy's: then it is the last one in X-Forwarded-For that is no trusted proxy, for
 * whatever stands before it is the sender's own word. An address that cannot be read is nobody's. Answers are remembered, a bounded number.
 */

import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { EngineError } from '../../engine/core/errors.ts';

/** Names for ranges. AppsFlyer's are those of its Push API since 2022-02-16 (support.appsflyer.com, article 207447093). */
const PRESETS: Readonly<Record<string, readonly string[]>> = {
  appsflyer: ['45.92.116.0/22', '194.28.46.0/23'],
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};
/** Of answers that are remembered. Chosen: more than a sender's addresses, 1 MB. */
const REMEMBERED_MAX = 10_000;
/** A longer chain of proxies is a forgery. Chosen. */
const FORWARDED_MAX = 20;

/** Ranges as they are configured: an address, `address/bits` or the name of a preset. */
export class AddressRanges {
  readonly #list = new BlockList();
  readonly #remembered = new Map<string, boolean>();

  /** `setting` names them in errors. Raises CONFIG_INVALID. */
  constructor(ranges: readonly string[], setting: string) {
    for (const range of ranges) for (const one of PRESETS[range] ?? [range]) this.#add(one, setting);
  }

  /** `address`: as text; one that is none is not in any range. */
  has(address: string): boolean {
    const known = this.#remembered.get(address);
    if (known !== undefined) return known;
    const plain = plainAddress(address);
    const found = isIPv4(plain) ? this.#list.check(plain, 'ipv4') : isIPv6(plain) && this.#list.check(plain, 'ipv6');
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.set(address, found);
    return found;
  }

  #add(range: string, setting: string): void {
    const [address = '', bits, ...rest] = range.split('/');
    const family = isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : null;
    const bitsMax = family === 'ipv4' ? 32 : 128;
    const count = bits === undefined ? bitsMax : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
    if (family === null || count < 0 || count > bitsMax || rest.length > 0) {
      throw new EngineError('CONFIG_INVALID', `${setting}: ${JSON.stringify(range.slice(0, 100))} is no range of addresses: write one like 192.0.2.0/24 or 2001:db8::/32, or a name: ${Object.keys(PRESETS).join(', ')}`);
    }
    this.#list.addSubnet(address, count, family);
  }
}

/** Without the zone of a link-local one. An IPv4 address in IPv6 clothes is in the ranges of either: the list knows both. */
function plainAddress(address: string): string {
  const zone = address.indexOf('%');
  return zone < 0 ? address : address.slice(0, zone);
}

/** The sender's address. `peer`: of the connection; `forwarded`: the header's value, '' for none. */
export function senderAddress(peer: string, forwarded: string, proxies: AddressRanges | null): string {
  if (proxies === null || forwarded === '' || !proxies.has(peer)) return peer;
  const chain = forwarded.split(',', FORWARDED_MAX + 1);
  if (chain.length > FORWARDED_MAX) return '';
  for (let at = chain.length - 1; at >= 0; at--) {
    const address = withoutPort((chain[at] as string).trim());
    if (!proxies.has(address)) return address;
  }
  return peer;
}

/** Some proxies write the port behind the address. */
function withoutPort(text: string): string {
  if (text.startsWith('[')) return text.slice(1, Math.max(1, text.indexOf(']')));
  const colon = text.indexOf(':');
  return colon >= 0 && text.indexOf(':', colon + 1) < 0 ? text.slice(0, colon) : text;
}
