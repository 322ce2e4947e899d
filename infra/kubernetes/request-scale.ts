/** One number that makes the whole platform fit a small cluster: `requestScale`. */
import { quantityValue } from "../config/quantity.ts";

/** "250m" times 0.1 → "25m"; "256Mi" times 0.1 → "26Mi". Rounded up to whole millicores or mebibytes, so never to nothing. */
export function scaledQuantity(resource: string, quantity: string, scale: number): string {
  const [unit, suffix] = resource === "cpu" ? [0.001, "m"] : [2 ** 20, "Mi"];
  // Rounded first: 0.1 × 250m is a little more than 25m in floating point.
  return `${Math.ceil(Number(((quantityValue(quantity) * scale) / unit).toFixed(6)))}${suffix}`;
}

/**
 * The inputs of a resource with all requests of its pods multiplied by `scale`. Limits stay. An autoscaler's utilization,
 * Kubernetes' own or KEDA's, is a share of the requests, so it is divided by the same number: it acts at the same load as
 * before.
 * @param inputs of any resource; what has no pods comes back equal. Values that are known only later are left alone.
 */
export function scaleRequests<T>(inputs: T, scale: number): T {
  if (scale === 1) return inputs;
  return walk(inputs, (key, value) => {
    if (key === "averageUtilization" && typeof value === "number") return Math.round(value / scale);
    if (key === "triggers" && Array.isArray(value)) return value.map((trigger) => scaledTrigger(trigger, scale));
    if (key !== "resources" || !isPlain(value) || !isPlain(value.requests)) return undefined;
    const requests = Object.entries(value.requests).map(([name, quantity]) => [
      name,
      // A claim's storage is a request too, but of a disk.
      name === "storage" ? quantity : scaledQuantity(name, String(quantity), scale),
    ]);
    return { ...value, requests: Object.fromEntries(requests) };
  }) as T;
}

/** KEDA's trigger, whose values are texts. */
function scaledTrigger(trigger: { metricType?: string; metadata: { value?: string } }, scale: number) {
  const { metricType, metadata } = trigger;
  if (metricType !== "Utilization") return trigger;
  return { ...trigger, metadata: { ...metadata, value: String(Math.round(Number(metadata.value) / scale)) } };
}

/** A copy in which each value for which `change` has another is that other. Outputs and classes are not looked into. */
function walk(value: unknown, change: (key: string, value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => walk(one, change));
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, change(key, one) ?? walk(one, change)]));
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
