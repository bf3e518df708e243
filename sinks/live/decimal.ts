/** Money as text: exact, whatever its size. */

const MICROS_PER_UNIT = 1_000_000n;

/** Micros as a decimal with at least two and at most six places: 13610000 is `13.61`, -500000 is `-0.50`. */
export function decimalText(micros: number | bigint): string {
  const exact = BigInt(micros);
  const size = exact < 0n ? -exact : exact;
  const places = String(size % MICROS_PER_UNIT).padStart(6, '0').replace(/0{1,4}$/, '');
  return `${exact < 0n ? '-' : ''}${size / MICROS_PER_UNIT}.${places}`;
}

/** The decimal that stands beside a micros measure: `revenue_micros` → `revenue`. */
export const decimalName = (measure: string): string => measure.replace(/_micros$/, '');
