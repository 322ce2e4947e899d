/** Explains why pods are not ready. */
import type { V1ContainerStatus, V1Pod } from "@kubernetes/client-node";

/** One sentence per pod that isn't ready, for example `pod api-5d8: api is waiting: ImagePullBackOff (…)`; pure. */
export const unreadyPods = (pods: V1Pod[]): string[] =>
  pods
    .filter(({ status }) => !status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"))
    .map((pod) => `pod ${pod.metadata?.name}: ${why(pod)}`);

function why({ status }: V1Pod): string {
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const said = containers.flatMap((container) => {
    const reason = reasonOf(container);
    return reason ? [`${container.name} ${reason}`] : [];
  });
  if (said.length > 0) return said.join("; ");
  const unmet = status?.conditions?.find(({ status }) => status !== "True");
  return unmet?.message ?? status?.phase ?? "unknown";
}

function reasonOf({ state, lastState, ready }: V1ContainerStatus): string | undefined {
  const ended = state?.terminated ?? lastState?.terminated;
  const end =
    ended && ended.exitCode !== 0 ? `ended with ${ended.exitCode} (${ended.message ?? ended.reason ?? ""})` : "";
  if (state?.waiting)
    return `is waiting: ${state.waiting.reason}${state.waiting.message ? ` (${state.waiting.message})` : ""}${end && `, ${end}`}`;
  if (end) return end;
  return ready ? undefined : "runs, but is not ready";
}
