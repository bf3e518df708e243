import { describe, expect, test } from 'vitest';
import { directoryOf } from '../../../sinks/lake/file-target.ts';
import { lakeOptionsSchema } from '../../../sinks/lake/options.ts';
import { parseS3Address } from '../../../sinks/lake/s3-address.ts';

describe('an s3 address', () => {
  test('names bucket, prefix and how to reach them', () => {
    expect(parseS3Address('s3://metrics')).toEqual({ bucket: 'metrics', prefix: '', region: null, endpoint: null, pathStyle: false, checksums: 'when_supported' });
    expect(parseS3Address('s3://metrics/a/b/?region=eu-central-1&endpoint=http://127.0.0.1:9000&path_style=true&checksums=when_required')).toEqual({
      bucket: 'metrics',
      prefix: 'a/b/',
      region: 'eu-central-1',
      endpoint: 'http://127.0.0.1:9000',
      pathStyle: true,
      checksums: 'when_required',
    });
  });

  test.each(['s3:', 's3:///prefix', 's3://bucket?regoin=x', 's3://bucket?path_style=yes', 's3://bucket?endpoint=127.0.0.1:9000', 's3://bucket?checksums=none'])('%s is refused with the fix', (url) => {
    expect(() => parseS3Address(url)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', fix: expect.stringContaining('s3://bucket/prefix') as string }) as Error);
  });

  test('credentials in an address are refused and not repeated', () => {
    const parse = (): unknown => parseS3Address('s3://AKIA:topsecret@bucket/x');
    expect(parse).toThrow(/credentials/);
    expect(parse).not.toThrow(/topsecret/);
  });
});

describe('a file address', () => {
  test('may be relative, absolute or with an empty host', () => {
    expect(directoryOf('file:./data/lake')).toBe(`${process.cwd()}/data/lake`);
    expect(directoryOf('file:/srv/lake')).toBe('/srv/lake');
    expect(directoryOf('file:///srv/my%20lake')).toBe('/srv/my lake');
  });

  test.each(['file:', 'file://host/lake', './data', 'http://x'])('%s is refused', (url) => {
    expect(() => directoryOf(url)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }) as Error);
  });
});

describe('the settings', () => {
  test('have defaults for everything, and take words from the environment', () => {
    expect(lakeOptionsSchema.parse({})).toMatchObject({ url: '', rows_per_file: 250_000, hourly_interval_seconds: 60, spool_bytes_max: 10 * 1024 ** 3 });
    expect(lakeOptionsSchema.parse({ rows_per_file: '5000' }).rows_per_file).toBe(5_000);
  });

  test.each([{ url: 'ftp://x' }, { url: 's3://' }, { rows_per_file: 0 }, { rows: 5 }])('%o is refused', (settings) => {
    expect(lakeOptionsSchema.safeParse(settings).success).toBe(false);
  });
});
