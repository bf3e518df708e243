import { describe, expect, it } from 'vitest';
import { connectionsMax, parseLimit } from '../../../engine/runtime/open-files.ts';

describe('the limit of open files', () => {
  it('is read as Linux writes it', () => {
    const text = 'Limit                     Soft Limit           Hard Limit           Units     \nMax processes             95797                95797                processes \nMax open files            4096                 524288               files     \n';
    expect(parseLimit(text)).toBe(4_096);
    expect(parseLimit(text.replace('4096  ', 'unlimited'))).toBe(Infinity);
    expect(parseLimit('')).toBe(Infinity);
  });

  it('leaves connections what journal, stores and sinks do not need', () => {
    expect(connectionsMax(10_000, Infinity)).toBe(10_000);
    expect(connectionsMax(10_000, 4_096)).toBe(3_584);
    expect(connectionsMax(100, 4_096)).toBe(100);
    expect(connectionsMax(10_000, 256)).toBe(64);
  });
});
