import { describe, expect, it } from 'vitest';
import { Admission, refusalFor, type AdmissionFacts } from '../../../ingress/admission.ts';

const welcome: AdmissionFacts = { open: true, draining: false, diskReserveExhausted: false, heldBytes: 0, neededBytes: 100 };

describe('who is let in', () => {
  it('lets a request in when nothing speaks against it, up to the last byte of the budget', () => {
    expect(refusalFor(welcome, 100)).toBeNull();
    expect(refusalFor({ ...welcome, heldBytes: 1 }, 100)).toBe('BUSY');
  });

  it('names the reason that lasts longest', () => {
    expect(refusalFor({ ...welcome, open: false, draining: true, diskReserveExhausted: true, heldBytes: 1_000 }, 100)).toBe('NOT_READY');
    expect(refusalFor({ ...welcome, draining: true, diskReserveExhausted: true, heldBytes: 1_000 }, 100)).toBe('DRAINING');
    expect(refusalFor({ ...welcome, diskReserveExhausted: true, heldBytes: 1_000 }, 100)).toBe('DISK_RESERVE');
  });
});

describe('the budget', () => {
  const admission = (): Admission => new Admission({ inFlightBytesMax: 100, isOpen: () => true, diskReserveExhausted: () => false });

  it('holds what fits and nothing of what does not', () => {
    const budget = admission();
    expect(budget.hold(60)).toBe(true);
    expect(budget.hold(41)).toBe(false);
    expect(budget.heldBytes).toBe(60);
    expect(budget.judge(41)).toBe('BUSY');
    expect(budget.judge(40)).toBeNull();
    budget.release(60);
    expect(budget.hold(100)).toBe(true);
  });

  it('calls it a bug when more is given back than was held', () => {
    expect(() => {
      admission().release(1);
    }).toThrow('bug');
  });
});
