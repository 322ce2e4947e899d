/** Kubernetes quantities: "500m", "2", "40Gi". */
import { quantityToScalar } from "@kubernetes/client-node/dist/util.js";

const pattern = /^(\d+(?:\.\d+)?|\.\d+)(?:([eE][+-]?\d+)|(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;

/** Whether the text is a Kubernetes quantity of zero or more. */
export const isQuantity = (text: string): boolean => pattern.test(text);

/**
 * The number that a quantity stands for: "500m" → 0.5, "40Gi" → 42949672960. The runtime's `amount` is the same function, and
 * a test checks that both give the same results.
 * @throws RangeError if the text is not a quantity
 */
export function quantityValue(text: string): number {
  const [, number, exponent = "", unit = ""] = pattern.exec(text) ?? [];
  if (number === undefined) throw new RangeError(`${JSON.stringify(text)} is not a Kubernetes quantity`);
  // client-node converts only the suffix, because it does not accept a fraction with a suffix, such as 1.5Gi.
  return Number(number + exponent) * Number(quantityToScalar(`1${unit}`));
}

/** Suggestions for a text that is not a quantity: "40GB" → ["40G", "40Gi"]. The list is empty if there is no good guess. */
export function quantityGuesses(text: string): string[] {
  const [, number, unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*$/.exec(text) ?? [];
  if (number === undefined) return [];
  const letter = unit.charAt(0);
  const prefix = letter.toLowerCase() === "k" ? "k" : letter.toUpperCase();
  const binary = `${prefix === "k" ? "K" : prefix}i`;
  const candidates = unit.toLowerCase().startsWith(`${letter.toLowerCase()}i`) ? [binary] : [prefix, binary];
  return candidates.map((suffix) => number + suffix).filter(isQuantity);
}
