/** `requestScale`: a factor for the requests of all pods except sessions' pods, so that the platform fits a small cluster. */
import { quantityValue } from "../../runtime/src/domain/quota/quantity.ts";

/**
 * Multiplies a quantity by `scale`: "250m" times 0.1 → "25m"; "256Mi" times 0.1 → "26Mi". The result is rounded up to millicores
 * or mebibytes, so it is 0 only for the quantity 0.
 */
export function scaledQuantity(resource: string, quantity: string, scale: number): string {
  const [unit, suffix] = resource === "cpu" ? [0.001, "m"] : [2 ** 20, "Mi"];
  // toFixed removes floating-point errors before the rounding up, because 0.1 × 250m is slightly more than 25m.
  return `${Math.ceil(Number(((quantityValue(quantity) * scale) / unit).toFixed(6)))}${suffix}`;
}

/** A container's requests multiplied by `scale`. A scale of 1 returns the same value. */
export const scaledRequests = (requests: Record<string, string>, scale: number): Record<string, string> =>
  scale === 1
    ? requests
    : Object.fromEntries(Object.entries(requests).map(([name, text]) => [name, scaledQuantity(name, text, scale)]));

/**
 * An autoscaler's target for utilization is a percentage of the requests. This function divides the target by the scale of the
 * requests, so that the autoscaler acts at the same load as without the scale.
 * @param percent of the requests without the scale
 */
export const scaledUtilization = (percent: number, scale: number): number => Math.round(percent / scale);
