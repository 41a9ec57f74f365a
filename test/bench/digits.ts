/** Stands for what could not be measured. */
export const NOTHING = '-';

/** Three significant digits, without an exponent. */
export function digits(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return NOTHING;
  if (Math.abs(value) >= 100) return value.toFixed(0);
  if (Math.abs(value) >= 10) return value.toFixed(1);
  return value.toFixed(Math.abs(value) >= 1 || value === 0 ? 2 : 3);
}
