/** wrk with unique POSTs, rendered before the run: a closed loop that finds the peak. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { USER_PLACEHOLDER } from './messages.ts';

export interface WrkResult {
  readonly requests: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly errors: number;
  /** Answers other than 2xx. */
  readonly refused: number;
}

/**
 * Records rendered before the run: wrk's thread takes half of this machine, and building 1.7 KB strings in it costs more than sending
 * them. Derived: 700 MB of the 1 GB and more that its Lua may use. What goes beyond is rendered as it goes, so rounds are short.
 */
const RENDERED_MAX = 400_000;

export interface WrkOptions {
  readonly url: string;
  readonly bodies: readonly string[];
  readonly connections: number;
  readonly seconds: number;
  /** Keeps users apart between runs; below 900. */
  readonly series: number;
  /** Further ones of each request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** More than 1: so many bodies are the lines of one NDJSON request. */
  readonly recordsPerRequest?: number;
  /** For a server that does not look: what was rendered is sent again and again, so that it is not the sender that is measured. */
  readonly repeats?: boolean;
}

export async function runWrk(options: WrkOptions): Promise<WrkResult> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-wrk-'));
  try {
    const script = join(directory, 'unique.lua');
    writeFileSync(script, lua(options));
    const output = await run('wrk', ['-t1', `-c${options.connections}`, `-d${options.seconds}s`, '--timeout', '10s', '-s', script, options.url]);
    const line = output.split('\n').find((text) => text.startsWith('RESULT '));
    if (line === undefined) throw new Error(`wrk printed no result:\n${output}`);
    return JSON.parse(line.slice('RESULT '.length)) as WrkResult;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function lua({ url, bodies, series, recordsPerRequest = 1, repeats = false, headers = {} }: WrkOptions): string {
  const { host, pathname } = new URL(url);
  const further = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const isBatch = recordsPerRequest > 1;
  const head = (bytes: number, type: string): string => `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${type}\r\n${further}Content-Length: ${bytes}\r\n\r\n`;
  const bytesOf = (body: string): number => Buffer.byteLength(body.replaceAll(USER_PLACEHOLDER, '000000000000'));
  const quoted = (text: string): string => JSON.stringify(text).replace(/\\u00([0-9a-f]{2})/g, '\\x$1');
  const parts = bodies.map((body) => {
    const text = isBatch ? `${body}\n` : head(bytesOf(body), 'application/json') + body;
    return `{${text.split(USER_PLACEHOLDER).map(quoted).join(',')}}`;
  });
  // All bodies have one length.
  const batchHead = quoted(head((bytesOf(bodies[0] as string) + 1) * recordsPerRequest, 'application/x-ndjson'));
  const rendered = Math.floor(RENDERED_MAX / recordsPerRequest);
  return `local parts = {${parts.join(',\n')}}
local n, count, ready = #parts, 0, {}
local function user(number)
  return string.format("${String(100 + series)}%09d", number)
end
local function renderOne(number)
  local p = parts[number % n + 1]
  local u = user(number)
  return p[1] .. u .. p[2] .. u .. p[3]
end
local pieces = {${batchHead}}
local function renderBatch(number)
  for record = 0, ${recordsPerRequest - 1} do
    local line = number * ${recordsPerRequest} + record
    local p, u, at = parts[line % n + 1], user(line), 5 * record + 2
    pieces[at], pieces[at + 1], pieces[at + 2], pieces[at + 3], pieces[at + 4] = p[1], u, p[2], u, p[3]
  end
  return table.concat(pieces)
end
local render = ${isBatch ? 'renderBatch' : 'renderOne'}
init = function()
  for number = 1, ${rendered} do ready[number] = render(number) end
  collectgarbage("stop")
end
request = function()
  count = count + 1
  local text = ready[${repeats ? `(count - 1) % ${rendered} + 1` : 'count'}]
  if text then return text end
  if count == ${rendered} + 1 then collectgarbage("restart") end
  return render(count)
end
done = function(summary, latency)
  local e = summary.errors
  print(string.format('RESULT {"requests":%d,"seconds":%f,"perSecond":%f,"p50Ms":%f,"p99Ms":%f,"p999Ms":%f,"errors":%d,"refused":%d}',
    summary.requests, summary.duration / 1e6, summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000, e.connect + e.read + e.write + e.timeout, e.status))
end
`;
}

function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ended with ${code}:\n${output}`));
    });
  });
}
