import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../engine/core/errors.ts';
import { flag, wholeNumber, z } from '../../../engine/core/schema.ts';
import { configFile, loadConfig, parseConfig, settingPaths } from '../../../engine/runtime/config.ts';
import { settingsSchema } from '../../../engine/settings.ts';

const schema = z.strictObject({
  name: z.string().min(1).default('unnamed'),
  ingest: z.strictObject({ port: wholeNumber(0, 65_535).default(8080), host: z.string().default('0.0.0.0') }).prefault({}),
  lake: z.strictObject({ slot_minutes: wholeNumber(1, 60).default(15), spool: z.strictObject({ bytes_max: wholeNumber(1).default(10) }).prefault({}) }).prefault({}),
  events: z.array(z.string().min(1)).default(['a']),
  limits: z.record(z.string(), wholeNumber(1)).default({}),
  fast: flag().default(false),
  redis: z.strictObject({ url: z.string().min(1), password: z.string().default('') }).optional(),
});

const FILE = 'millrace.yaml';

const load = (yaml: string | null, env: NodeJS.ProcessEnv = {}): z.output<typeof schema> => parseConfig(schema, { file: yaml === null ? null : FILE, text: yaml ?? '', env });

function problems(yaml: string | null, env: NodeJS.ProcessEnv = {}, of: z.ZodType = schema): string[] {
  try {
    parseConfig(of, { file: yaml === null ? null : FILE, text: yaml ?? '', env });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    expect(error.code).toBe('CONFIG_INVALID');
    return error.message.split('\n');
  }
  return [];
}

describe('settings', () => {
  it('have their defaults when neither file nor environment says anything', () => {
    expect(load(null)).toEqual({ name: 'unnamed', ingest: { port: 8080, host: '0.0.0.0' }, lake: { slot_minutes: 15, spool: { bytes_max: 10 } }, events: ['a'], limits: {}, fast: false });
    expect(load('')).toEqual(load(null));
    expect(load('# nothing but a comment\n')).toEqual(load(null));
  });

  it('come from the file, and from the environment where both say something', () => {
    const yaml = 'name: shop\ningest:\n  port: 9000\n  host: 10.0.0.1\n';
    expect(load(yaml)).toMatchObject({ name: 'shop', ingest: { port: 9_000, host: '10.0.0.1' } });
    expect(load(yaml, { MILLRACE_INGEST_PORT: '9001' })).toMatchObject({ name: 'shop', ingest: { port: 9_001, host: '10.0.0.1' } });
  });

  it('have the key path in upper snake case as their variable, at any depth', () => {
    expect(load(null, { MILLRACE_LAKE_SLOT_MINUTES: '1', MILLRACE_LAKE_SPOOL_BYTES_MAX: '99', MILLRACE_NAME: 'x' })).toMatchObject({ name: 'x', lake: { slot_minutes: 1, spool: { bytes_max: 99 } } });
  });

  it('have a variable each, all different, in the schema of the daemon', () => {
    const variables = settingPaths(settingsSchema).map((setting) => setting.variable);
    expect(new Set(variables).size).toBe(variables.length);
    expect(variables).toEqual(expect.arrayContaining(['MILLRACE_DATA_DIR', 'MILLRACE_INGEST_PORT', 'MILLRACE_ADMIN_PORT', 'MILLRACE_REDIS_URL', 'MILLRACE_LAKE_URL', 'MILLRACE_LAKE_SLOT_MINUTES', 'MILLRACE_DOOR']));
  });

  it('take lists, mappings and flags from the environment', () => {
    expect(load(null, { MILLRACE_EVENTS: 'af_purchase, af_subscribe,,' }).events).toEqual(['af_purchase', 'af_subscribe']);
    expect(load(null, { MILLRACE_LIMITS: 'country=300, device=5' }).limits).toEqual({ country: 300, device: 5 });
    expect(['true', '1', 'YES', 'false', '0', 'no'].map((word) => load(null, { MILLRACE_FAST: word }).fast)).toEqual([true, true, true, false, false, false]);
  });

  it('leave an optional section out until one of its settings is given', () => {
    expect(load(null).redis).toBeUndefined();
    expect(load(null, { MILLRACE_REDIS_URL: 'redis://h' }).redis).toEqual({ url: 'redis://h', password: '' });
    expect(problems(null, { MILLRACE_REDIS_PASSWORD: 'x' })).toEqual(['redis.url: missing (set redis.url in millrace.yaml or MILLRACE_REDIS_URL)']);
  });

  it('take numbers as digits, in the file bare or in quotes, in the environment with space around', () => {
    expect(load('ingest:\n  port: 9000\n').ingest.port).toBe(9_000);
    expect(load('ingest:\n  port: "9000"\n').ingest.port).toBe(9_000);
    expect(load(null, { MILLRACE_INGEST_PORT: ' 09000 ' }).ingest.port).toBe(9_000);
  });

  it('that are left empty are not set, in the file and in the environment', () => {
    expect(load('ingest:\n  port:\nlake:\nredis:\n')).toEqual(load(null));
    expect(load('ingest:\n  port: 9000\n', { MILLRACE_INGEST_PORT: ' ', MILLRACE_REDIS_URL: '' })).toMatchObject({ ingest: { port: 9_000 } });
    expect(load(null, { MILLRACE_INGEST_PORT: '' }).ingest.port).toBe(8_080);
  });

  it('pay no heed to variables of other programs, nor to MILLRACE_CONFIG', () => {
    expect(load(null, { PATH: '/bin', MILLRACERY: '1', millrace_name: 'x', MILLRACE_CONFIG: '/etc/millrace.yaml' })).toEqual(load(null));
  });
});

describe('what is wrong with settings', () => {
  it('is an unknown key, at any depth, with the nearest one that exists', () => {
    expect(problems('ingest:\n  prot: 1\n')).toEqual(['ingest.prot: no such setting: remove it, or write ingest.port']);
    expect(problems('ingst:\n  port: 1\n')).toEqual(['ingst: no such setting: remove it, or write ingest']);
    expect(problems('lake:\n  spool:\n    byte_max: 1\n')).toEqual(['lake.spool.byte_max: no such setting: remove it, or write lake.spool.bytes_max']);
    expect(problems('quite_another_thing: 1\n')).toEqual(['quite_another_thing: no such setting: remove it']);
    expect(problems('__proto__:\n  polluted: 1\n')).toEqual(['__proto__: no such setting: remove it']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('is an unknown variable, with the nearest one that exists, set or empty', () => {
    expect(problems(null, { MILLRACE_INGEST_PROT: '1' })).toEqual(['MILLRACE_INGEST_PROT: no such setting: remove it, or write MILLRACE_INGEST_PORT']);
    expect(problems(null, { MILLRACE_INGEST: '' })).toHaveLength(1);
  });

  it('is a variable that Kubernetes sets for a service of this name, with what keeps it away', () => {
    expect(problems(null, { MILLRACE_PORT: 'tcp://10.0.0.1:8080' })).toEqual([expect.stringMatching(/^MILLRACE_PORT: no such setting: .*enableServiceLinks: false/)]);
    expect(problems(null, { MILLRACE_PORT_8080_UDP: 'udp://10.0.0.1:8080' })[0]).toMatch(/enableServiceLinks/);
    expect(problems(null, { MILLRACE_INGEST_PORT: 'tcp://10.0.0.1:8080' })).toEqual([expect.stringMatching(/^ingest\.port: "tcp:.*whole number.*enableServiceLinks: false/)]);
    expect(problems(null, { MILLRACE_INGEST_PROT: '1', MILLRACE_INGEST_PORT: 'x' }).join()).not.toMatch(/enableServiceLinks/);
  });

  it('is told with key, value and fix', () => {
    expect(problems('ingest:\n  port: 80x\n')[0]).toMatch(/^ingest\.port: "80x": .+ \(set ingest\.port in millrace\.yaml or MILLRACE_INGEST_PORT\)$/);
    expect(problems(null, { MILLRACE_INGEST_PORT: '65536' })[0]).toMatch(/^ingest\.port: "65536": .*65535/);
    expect(problems('name: 5\n')[0]).toMatch(/^name: 5: .+: write it in quotes \(set name/);
    expect(problems(null, { MILLRACE_LIMITS: 'country' })[0]).toMatch(/^limits: "country": /);
    expect(problems(null, { MILLRACE_LIMITS: 'country=many' })[0]).toMatch(/^limits\.country: "many": /);
  });

  it.each(['true', '80.5', '[8080]', '"1e3"', '"0x1f90"', '"80 80"', '"8_080"', '""', '" "', '.inf', '12345678901234567890'])('is anything but a whole number where one is wanted: %s', (value) => {
    expect(problems(`ingest:\n  port: ${value}\n`)).toEqual([expect.stringMatching(/^ingest\.port: .+: .*whole number.* \(set ingest\.port in millrace\.yaml or MILLRACE_INGEST_PORT\)$/)]);
    expect(problems(`limits:\n  country: ${value}\n`)).toEqual([expect.stringMatching(/^limits\.country: .+: .*whole number/)]);
  });

  it.each(['true', '1e3', '80.0', '0x10', '٣'])('is a variable with anything but digits where a number is wanted: %s', (value) => {
    expect(problems(null, { MILLRACE_INGEST_PORT: value })).toEqual([expect.stringMatching(/^ingest\.port: ".+": .*whole number.*MILLRACE_INGEST_PORT\)$/)]);
  });

  it('is told all at once', () => {
    const told = problems('ingest:\n  prot: 1\n  port: -1\nname: ""\nwhat: 1\n', { MILLRACE_FAST: 'perhaps', MILLRACE_NO: '1' });
    expect(told.map((line) => line.slice(0, line.indexOf(':'))).sort()).toEqual(['MILLRACE_NO', 'fast', 'ingest.port', 'ingest.prot', 'name', 'what']);
  });

  it('is a value in the place of a section, which a variable does not hide', () => {
    expect(problems('ingest: 5\n', { MILLRACE_INGEST_PORT: '9000' })[0]).toMatch(/^ingest: 5: /);
    expect(problems('lake: [1]\n', { MILLRACE_LAKE_SPOOL_BYTES_MAX: '5' })[0]).toMatch(/^lake: \[1\]: /);
  });

  it('is cut when it is long', () => {
    expect((problems(`ingest:\n  port: "${'x'.repeat(10_000)}"\n`)[0] ?? '').length).toBeLessThan(400);
  });

  it('is a file that is not YAML, by line and column', () => {
    expect(problems('ingest:\n  port: [1\n')[0]).toMatch(/millrace\.yaml is no valid YAML: line 3, column 1: /);
    expect(problems('name: a\nname: b\n')[0]).toMatch(/line 2, column 1: Map keys must be unique/);
  });

  it('is a file that is no mapping, a broken alias, or a bomb of aliases', () => {
    expect(problems('- a\n')[0]).toMatch(/must hold a mapping/);
    expect(problems('just words\n')[0]).toMatch(/must hold a mapping/);
    expect(problems('name: *nowhere\n')[0]).toMatch(/alias/);
    expect(problems(`a: &a [x, x]\nb: [${'*a, '.repeat(50)}]\n`)[0]).toMatch(/alias/);
  });

  it('is a file that cannot be read or is too large to be one', () => {
    expect(() => loadConfig(schema, { file: tmpdir(), env: {} })).toThrow(/cannot be read/);
    expect(problems(`# ${'x'.repeat(1024 * 1024)}\n`)[0]).toMatch(/larger than/);
    expect(() => configFile(join(tmpdir(), 'millrace-nowhere', 'nowhere.yaml'))).toThrow(/nowhere\.yaml does not exist/);
  });
});

describe('secrets', () => {
  const SECRET = 'hunter2';
  const NUMBER = '918273645';
  const cases: Record<string, [yaml: string | null, env?: NodeJS.ProcessEnv]> = {
    'a Redis URL of the wrong scheme': [null, { MILLRACE_REDIS_URL: `http://:${SECRET}@h` }],
    'a Redis URL that holds nothing but the password': [null, { MILLRACE_REDIS_URL: SECRET }],
    'a Redis URL with the password in its query': [null, { MILLRACE_REDIS_URL: `redis://h?password=${SECRET}` }],
    'a list in the place of the URL': [`redis:\n  url: [${SECRET}]\n`],
    'a URL in the place of the section': [`redis: redis://:${SECRET}@h\n`],
    'words in the place of the section': [`redis: password ${SECRET}\n`],
    'a password that is a number': [`redis:\n  url: redis://h\n  password: ${NUMBER}\n`],
    'an S3 secret that is a number': [`lake:\n  s3_secret_access_key: ${NUMBER}\n`],
    'an S3 secret in the place of the lake': [`lake: ${SECRET}\n`],
    'credentials in the lake\'s URL': [null, { MILLRACE_LAKE_URL: `s3://key:${SECRET}@bucket` }],
    'credentials in the lake\'s endpoint': [null, { MILLRACE_LAKE_URL: `s3://bucket?endpoint=http://key:${SECRET}@h` }],
    'credentials in an unknown parameter of the lake\'s URL': [null, { MILLRACE_LAKE_URL: `s3://bucket?secret=${SECRET}` }],
    'a misspelt variable': [null, { MILLRACE_REDIS_PASSWROD: SECRET }],
    'a misspelt key': [`redis:\n  url: redis://h\n  pasword: ${SECRET}\n`],
    'an open quote': [`redis:\n  url: redis://h\n  password: "${SECRET}\n`],
    'a password with a star': [`redis:\n  password: *${SECRET}\n`],
    'a password with an exclamation mark': [`redis:\n  password: !${SECRET} [x]\n`],
    'a password with a bar': [`redis:\n  password: |${SECRET}\n`],
    'a password with a percent sign': [`redis:\n  password: %${SECRET}\n`],
    'a password with a colon and a space': [`redis:\n  password: a: ${SECRET}\n`],
    'a password with a backslash': [`redis:\n  password: "\\x${SECRET}"\n`],
    'a flow that never ends': [`redis: {password: ${SECRET}\n`],
    'a key set twice': [`redis:\n  password: ${SECRET}\n  password: ${SECRET}\n`],
    'a file that is one word': [`${SECRET}\n`],
  };

  it.each(Object.entries(cases))('are not printed with %s', (_, [yaml, env]) => {
    const told = problems(yaml, env, settingsSchema).join('\n');
    expect(told).not.toBe('');
    expect(told).not.toContain(SECRET);
    expect(told).not.toContain(NUMBER);
  });
});
