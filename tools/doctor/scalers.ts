/** What the doctor says about autoscalers. Pure. */
import type { Progress } from "./poll.ts";
import type { Scaler } from "./tries.ts";

/** The wait ends when every autoscaler has its metrics. Until then, the text has the name and the message of each other one. */
export function scalersProgress(scalers: Scaler[]): Progress<void> {
  const blind = scalers.filter(({ isActive }) => !isActive);
  if (blind.length === 0) return { done: undefined };
  return {
    waitsFor: "autoscalers have no metrics",
    because: blind.map(({ name, message }) => `${name} (${message})`).join("; "),
  };
}
