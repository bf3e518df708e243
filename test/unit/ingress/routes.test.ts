import { describe, expect, it } from 'vitest';
import { routeOf, s2sAppId } from '../../../ingress/http/routes.ts';

describe('routes', () => {
  it('take events by method and exact path', () => {
    expect(routeOf('POST', '/v1/appsflyer/push').kind).toBe('push');
    expect(routeOf('GET', '/v1/appsflyer/push').kind).toBe('push_get');
    expect(routeOf('POST', '/v1/events').kind).toBe('events');
    expect(routeOf('PUT', '/v1/costs').kind).toBe('costs');
  });

  it.each([
    ['com.example.shop', 'com.example.shop'],
    ['id123456789', 'id123456789'],
    ['nativepc-7', 'nativepc-7'],
    ['com%2Eexample', 'com.example'],
    ['a1b2c3d4e5f6', 'a1b2c3d4e5f6'],
    ['', ''],
    ['a/b', ''],
    ['a%2Fb', ''],
    ['a%22b', ''],
    ['%zz', ''],
    ['.hidden', ''],
    ['é', ''],
    ['x'.repeat(255), 'x'.repeat(255)],
    ['x'.repeat(256), ''],
  ])('of S2S name their app: %j names %j', (written, appId) => {
    const path = `/v1/appsflyer/s2s/inappevent/${written}`;
    expect(s2sAppId(path)).toBe(appId);
    expect([routeOf('POST', path).kind, routeOf('GET', path).fixed?.status, routeOf('OPTIONS', path).fixed?.status]).toEqual(appId === '' ? ['other', 404, 404] : ['s2s', 405, 204]);
  });

  it('answer everything else by themselves', () => {
    const answer = (method: string, path: string): [number | undefined, string | undefined] => [routeOf(method, path).fixed?.status, routeOf(method, path).fixed?.allow];
    expect(answer('GET', '/')).toEqual([404, '']);
    expect(answer('POST', '/v1/events/')).toEqual([404, '']);
    expect(answer('POST', '/V1/events')).toEqual([404, '']);
    expect(answer('OPTIONS', '/nowhere')).toEqual([404, '']);
    expect(answer('GET', '/v1/events')).toEqual([405, 'POST, OPTIONS']);
    expect(answer('POST', '/v1/costs')).toEqual([405, 'PUT, OPTIONS']);
    expect(answer('HEAD', '/v1/appsflyer/push')).toEqual([405, 'GET, POST, OPTIONS']);
    expect(answer('BREW', '/v1/appsflyer/push')).toEqual([405, 'GET, POST, OPTIONS']);
    expect(answer('OPTIONS', '/v1/appsflyer/push')).toEqual([204, 'GET, POST, OPTIONS']);
  });
});
