import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { QueryGate, SENT_ROWS_MAX } from '../../../sinks/live/query-gate.ts';

const query = (gate: QueryGate): Promise<string> => gate.run(() => Promise.resolve('rows')).catch((error: unknown) => (error as { code: string }).code);

describe('the gate of queries', () => {
  it('refuses further ones while answers with too many rows wait for their clients', async () => {
    const gate = new QueryGate();
    const [stuck, other] = [Readable.from(['x']), Readable.from(['x'])];
    gate.sending(SENT_ROWS_MAX - 1, stuck);
    expect(await query(gate)).toBe('rows');
    gate.sending(1, other);
    expect(await query(gate)).toBe('NOT_READY');
    for await (const chunk of other) expect(chunk).toBe('x');
    expect(await query(gate)).toBe('rows');
    gate.sending(SENT_ROWS_MAX, Readable.from(['x']));
    expect(await query(gate)).toBe('NOT_READY');
  });

  it('lets others in when a client leaves without its answer, and keeps no place of a query that it refused', async () => {
    const gate = new QueryGate();
    const stuck = Readable.from(['x']);
    gate.sending(SENT_ROWS_MAX, stuck);
    for (let at = 0; at < 10; at++) expect(await query(gate)).toBe('NOT_READY');
    stuck.destroy();
    await new Promise(setImmediate);
    expect(await Promise.all(Array.from({ length: 10 }, () => query(gate)))).toEqual(Array.from({ length: 10 }, () => 'rows'));
  });

  it('judges a query that had to wait when its turn comes', async () => {
    const gate = new QueryGate();
    let end = (): void => undefined;
    const running = Array.from({ length: 4 }, () =>
      gate.run(
        () =>
          new Promise<void>((resolve) => {
            const before = end;
            end = () => {
              before();
              resolve();
            };
          }),
      ),
    );
    const waiting = query(gate);
    gate.sending(SENT_ROWS_MAX, Readable.from(['x']));
    end();
    await Promise.all(running);
    expect(await waiting).toBe('NOT_READY');
  });
});
