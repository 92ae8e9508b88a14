// Order statistics for the report. Nearest rank: every figure printed is one that was measured.

/** The q-quantile of ascending values; NaN when there are none. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const rank = Math.max(0, Math.ceil(q * sorted.length) - 1);
  return sorted[rank] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}
