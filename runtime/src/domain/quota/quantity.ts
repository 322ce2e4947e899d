/** Kubernetes quantities: "500m", "2", "40Gi". The stack's config (infra/config) parses quantities with these functions too. */
import { quantityToScalar } from "@kubernetes/client-node/dist/util.js";

const pattern = /^(\d+(?:\.\d+)?|\.\d+)(?:([eE][+-]?\d+)|(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;

/** Whether the text is a Kubernetes quantity of zero or more. */
export const isQuantity = (text: string): boolean => pattern.test(text);

/**
 * Returns the number that a quantity means: "500m" → 0.5, "1.5Gi" → 1610612736.
 * @throws RangeError if the text is not a quantity
 */
export function quantityValue(text: string): number {
  const [, number, exponent = "", unit = ""] = pattern.exec(text) ?? [];
  if (number === undefined)
    throw new RangeError(`${JSON.stringify(text)} is not a Kubernetes quantity, such as 500m or 1.5Gi`);
  // client-node converts only the suffix, because it does not accept a fraction with a suffix, such as 1.5Gi.
  return Number(number + exponent) * Number(quantityToScalar(`1${unit}`));
}
