import { describe, expect, it } from 'vitest';
import { AddressRanges, senderAddress } from '../../../../ingress/access/addresses.ts';

const ranges = (...list: string[]): AddressRanges => new AddressRanges(list, 'ingest.allow_from');

describe('address ranges', () => {
  it.each([
    ['192.0.2.0/24', '192.0.2.0', true],
    ['192.0.2.0/24', '192.0.2.255', true],
    ['192.0.2.0/24', '192.0.3.0', false],
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['appsflyer', '45.92.119.255', true],
    ['appsflyer', '45.92.120.0', false],
    ['appsflyer', '194.28.47.1', true],
    ['loopback', '::1', true],
    // What an IPv6 socket and uWebSockets.js say of an IPv4 client.
    ['loopback', '::ffff:127.0.0.1', true],
    ['loopback', '0000:0000:0000:0000:0000:ffff:7f00:0001', true],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['192.0.2.0/24', '', false],
    ['192.0.2.0/24', 'localhost', false],
    ['192.0.2.0/24', '192.0.2.0/24', false],
  ])('%s has %s: %s, however often it is asked', (range, address, expected) => {
    const set = ranges(range);
    for (let times = 0; times < 3; times++) expect(set.has(address)).toBe(expected);
  });

  it.each(['', '192.0.2.0/33', '192.0.2/24', '2001:db8::/129', '192.0.2.0/24/8', '192.0.2.0/-1', 'example.com', 'AppsFlyer', '192.0.2.0/1e1'])('refuse %j with the setting and what to write', (range) => {
    expect(() => ranges(range)).toThrow(/ingest\.allow_from: .*192\.0\.2\.0\/24/);
  });

  it('remember a bounded number of addresses', () => {
    const set = ranges('10.0.0.0/8');
    for (let at = 0; at < 30_000; at++) expect(set.has(`10.1.${at >> 8}.${at & 255}`)).toBe(true);
  });
});

describe('the sender behind proxies', () => {
  const proxies = ranges('10.0.0.0/8', '::1');
  it.each([
    ['203.0.113.5', '198.51.100.1', '203.0.113.5', 'a peer that is no proxy is believed nothing'],
    ['10.0.0.1', '', '10.0.0.1', 'a proxy that says nothing is the sender'],
    ['10.0.0.1', '198.51.100.1', '198.51.100.1', 'one proxy'],
    ['10.0.0.1', '192.0.2.66, 198.51.100.1', '198.51.100.1', 'what the sender has put before it counts for nothing'],
    ['10.0.0.1', '198.51.100.1, 10.0.0.2', '198.51.100.1', 'two proxies'],
    ['10.0.0.1', '10.0.0.3,10.0.0.2', '10.0.0.1', 'nobody but proxies'],
    ['10.0.0.1', '198.51.100.1:4711', '198.51.100.1', 'with a port'],
    ['::1', '[2001:db8::7]:4711', '2001:db8::7', 'IPv6 with a port'],
    ['10.0.0.1', '2001:db8::7', '2001:db8::7', 'IPv6 without one'],
    ['10.0.0.1', 'unknown', 'unknown', 'what is no address is nobody'],
    ['10.0.0.1', Array.from({ length: 30 }, () => '10.0.0.9').join(), '', 'a chain without end is nobody'],
  ])('of %s with "%s" is %s: %s', (peer, forwarded, expected) => {
    expect(senderAddress(peer, forwarded, proxies)).toBe(expected);
    expect(senderAddress(peer, forwarded, null)).toBe(peer);
  });
});
