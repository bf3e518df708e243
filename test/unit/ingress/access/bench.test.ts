import { expect, it } from 'vitest';
import { benchAccess } from '../../../../bench/micro/access.ts';

it('the bench of who may send runs, and every request that it measures is judged as it says', () => {
  for (const timing of benchAccess({ rounds: 1, calls: 200 })) expect(timing.medianNs).toBeGreaterThan(0);
});
