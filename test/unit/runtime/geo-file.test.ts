import { describe, expect, it } from 'vitest';
import { openPlaces } from '../../../engine/runtime/geo-file.ts';
import { cityRecord, mmdb } from '../../support/mmdb.ts';

const lyon = cityRecord({ country: 'FR', continent: 'EU', state: 'ARA', city: 'Lyon' });

describe('a GeoIP file', () => {
  it('tells country, continent, subdivision and city in MaxMind\'s shape', () => {
    const places = openPlaces(mmdb([{ network: '192.0.2.0/24', record: lyon }]));
    expect(places.find('192.0.2.44')).toEqual({ country: 'FR', region: 'EU', state: 'ARA', city: 'Lyon' });
    expect(places.find('192.0.3.44')).toBeNull();
  });

  it('tells what the flat shape of open data has', () => {
    const places = openPlaces(mmdb([{ network: '192.0.2.0/24', record: { country_code: 'de' } }, { network: '198.51.100.0/24', record: { country_code: 'US', state1: 'Oregon', city: 'Boardman' } }], { ipVersion: 4 }));
    expect(places.find('192.0.2.1')).toEqual({ country: 'DE', region: '', state: '', city: '' });
    expect(places.find('198.51.100.7')).toEqual({ country: 'US', region: '', state: 'Oregon', city: 'Boardman' });
  });

  it('knows IPv6 addresses, and IPv4 ones written as such', () => {
    const places = openPlaces(mmdb([{ network: '2001:db8::/32', record: { country_code: 'NL' } }, { network: '192.0.2.0/24', record: lyon }]));
    expect(places.find('2001:db8:1::1')?.country).toBe('NL');
    expect(places.find('2001:db9::1')).toBeNull();
    expect(places.find('::ffff:192.0.2.44')?.country).toBe('FR');
  });

  it('never takes the first bits of an IPv6 address for an IPv4 one', () => {
    const places = openPlaces(mmdb([{ network: '32.0.0.0/3', record: { country_code: 'US' } }], { ipVersion: 4 }));
    expect(places.find('32.1.1.1')?.country).toBe('US');
    expect(places.find('2001:db8::1')).toBeNull();
  });

  it('answers nothing for what is no address, whatever it is', () => {
    const places = openPlaces(mmdb([{ network: '192.0.2.0/24', record: lyon }]));
    for (const text of ['', 'x', '192.0.2', '192.0.2.256', '192.0.2.1 ', '__proto__', '1'.repeat(1_000)]) expect(places.find(text)).toBeNull();
  });

  it('answers nothing for records that are no place', () => {
    const places = openPlaces(mmdb([{ network: '192.0.2.0/24', record: { country: 'FR', city: { names: {} }, subdivisions: [] } }, { network: '198.51.100.0/24', record: ['FR'] }]));
    expect(places.find('192.0.2.1')).toEqual({ country: '', region: '', state: '', city: '' });
    expect(places.find('198.51.100.1')).toEqual({ country: '', region: '', state: '', city: '' });
  });

  it('is refused where it is none, or cut off', () => {
    const whole = mmdb([{ network: '192.0.2.0/24', record: lyon }]);
    expect(() => openPlaces(Buffer.from('not a database'))).toThrow();
    expect(() => openPlaces(Buffer.alloc(0))).toThrow();
    expect(() => openPlaces(whole.subarray(0, whole.byteLength - 150))).toThrow();
  });
});
