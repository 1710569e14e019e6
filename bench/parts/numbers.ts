/** What the tables say of samples. Pure. */
export type Summary = { n: number; p50: number; p95: number; min: number; max: number };

export function quantile(samples: readonly number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const [low = Number.NaN, high = low] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at - Math.floor(at));
}

export function summary(samples: readonly number[]): Summary {
  return {
    n: samples.length,
    p50: quantile(samples, 0.5),
    p95: quantile(samples, 0.95),
    min: quantile(samples, 0),
    max: quantile(samples, 1),
  };
}

/** Ratio of each pair that was measured one after the other: what disturbs the machine disturbs both. */
export function ratios(pairs: readonly { a: number; b: number }[]): Summary {
  return summary(pairs.map(({ a, b }) => a / b));
}

export function slope(points: readonly { x: number; y: number }[]): number {
  const mean = (of: (p: { x: number; y: number }) => number): number => points.reduce((sum, p) => sum + of(p), 0) / points.length;
  const [mx, my] = [mean((p) => p.x), mean((p) => p.y)];
  const over = points.reduce((sum, p) => sum + (p.x - mx) * (p.y - my), 0);
  return over / points.reduce((sum, p) => sum + (p.x - mx) ** 2, 0);
}
