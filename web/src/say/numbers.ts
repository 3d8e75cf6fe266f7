// Numbers as people read them.

const MINUS = "−";

/** Three digits that count, with a sign that is seen. */
export function number(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? size.toExponential(2) : size >= 100 ? size.toFixed(1) : size >= 10 ? size.toFixed(2) : String(Number(size.toPrecision(3)));
  return value < 0 ? MINUS + text.replace("e-", "e" + MINUS) : text.replace("e-", "e" + MINUS);
}

export const signed = (value: number) => (value > 0 ? "+" : "") + number(value);

/** A share in percent: an exact 0 is told from what rounds to it. */
export function percent(share: number): string {
  const percent = 100 * share;
  const size = Math.abs(percent);
  if (size === 0) return "0 %";
  if (size < 0.05) return `${percent < 0 ? MINUS : ""}<0.1 %`;
  const text = size >= 99.95 && size < 100 ? "99.9" : size >= 10 ? size.toFixed(0) : size.toFixed(1);
  return `${percent < 0 ? MINUS : ""}${text} %`;
}

export const count = (n: number, one: string, many = one + "s") => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
