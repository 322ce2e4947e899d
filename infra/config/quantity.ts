/** Suggestions for faulty Kubernetes quantities in the config. */
import { isQuantity } from "../../runtime/src/domain/quota/quantity.ts";

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
