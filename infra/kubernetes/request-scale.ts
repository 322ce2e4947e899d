/** One number that makes the whole platform fit a small cluster: `requestScale`. */
import { quantityValue } from "../config/quantity.ts";

/** "250m" times 0.1 → "25m"; "256Mi" times 0.1 → "26Mi". Rounded up to whole millicores or mebibytes, so never to nothing. */
export function scaledQuantity(resource: string, quantity: string, scale: number): string {
  const [unit, suffix] = resource === "cpu" ? [0.001, "m"] : [2 ** 20, "Mi"];
  // Rounded first: 0.1 × 250m is a little more than 25m in floating point.
  return `${Math.ceil(Number(((quantityValue(quantity) * scale) / unit).toFixed(6)))}${suffix}`;
}

/** What a container requests, times `scale`. With a scale of 1 it is the same value. */
export const scaledRequests = (requests: Record<string, string>, scale: number): Record<string, string> =>
  scale === 1
    ? requests
    : Object.fromEntries(Object.entries(requests).map(([name, text]) => [name, scaledQuantity(name, text, scale)]));

/**
 * An autoscaler's utilization is a share of what the pods request, so it is divided by the scale of the requests: the
 * autoscaler acts at the same load as without the scale.
 * @param percent of the requests
 */
export const scaledUtilization = (percent: number, scale: number): number => Math.round(percent / scale);
