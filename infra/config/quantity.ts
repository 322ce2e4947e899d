/** Kubernetes quantities: "500m", "2", "40Gi". */

const pattern = /^(\d+(?:\.\d+)?|\.\d+)(?:([eE][+-]?\d+)|(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;

/** Whether the text is a quantity that is not negative. */
export const isQuantity = (text: string): boolean => pattern.test(text);

const factors: Record<string, number> = {
  m: 1e-3,
  ...Object.fromEntries(["k", "M", "G", "T", "P", "E"].map((unit, index) => [unit, 1000 ** (index + 1)])),
  ...Object.fromEntries(["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].map((unit, index) => [unit, 1024 ** (index + 1)])),
};

/** The number that a quantity stands for: "500m" → 0.5, "40Gi" → 42949672960. Throws where the text is no quantity. */
export function quantityValue(text: string): number {
  const [, number, exponent = "", unit = ""] = pattern.exec(text) ?? [];
  if (number === undefined) throw new RangeError(`${JSON.stringify(text)} is not a Kubernetes quantity`);
  return Number(number + exponent) * (factors[unit] ?? 1);
}

/** What was probably meant by a text that isn't a quantity: "40GB" → ["40G", "40Gi"]. Empty when there is no good guess. */
export function quantityGuesses(text: string): string[] {
  const [, number, unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*$/.exec(text) ?? [];
  if (number === undefined) return [];
  const letter = unit.charAt(0);
  const prefix = letter.toLowerCase() === "k" ? "k" : letter.toUpperCase();
  const binary = `${prefix === "k" ? "K" : prefix}i`;
  const candidates = unit.toLowerCase().startsWith(`${letter.toLowerCase()}i`) ? [binary] : [prefix, binary];
  return candidates.map((suffix) => number + suffix).filter(isQuantity);
}
