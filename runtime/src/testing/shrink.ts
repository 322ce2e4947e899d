/** Makes sessions' pods so small that many fit on one machine. `shrink` also replaces the pods' programs with a shell. */
import type { V1Container, V1Pod } from "@kubernetes/client-node";
import { machine } from "../../../machine/machine.ts";

/** An image with the shell that `shrink` needs. */
export const debianImage = `${machine.registry}/docker.io/library/debian:bookworm-slim`;

/** A shell script that waits for SIGTERM and then ends at once. */
export const waitForEnd = "trap 'exit 0' TERM; sleep infinity & wait";

/**
 * The pod with a shell in place of its programs, and with almost no resources. `agent` is the command of the agent's
 * container.
 */
export function shrink(pod: V1Pod, agent: string): V1Pod {
  const commands: Record<string, string> = { agent, "copy-berthd": "exit 0" };
  return withContainers(pod, ({ startupProbe: _, ...container }) => ({
    ...container,
    command: ["sh", "-c", commands[container.name] ?? waitForEnd],
    resources: small(container, { cpu: "200m", memory: "64Mi" }),
  }));
}

/** The pod unchanged except for small resources. */
export const cheap = (pod: V1Pod): V1Pod =>
  withContainers(pod, (container) => ({
    ...container,
    resources: small(container, { cpu: "1", memory: "512Mi" }),
  }));

/** Small resources; the container keeps its ephemeral storage. */
const small = ({ resources }: V1Container, limits: { cpu: string; memory: string }) => ({
  requests: { ...resources?.requests, cpu: "1m", memory: "4Mi" },
  limits: { ...resources?.limits, ...limits },
});

function withContainers(pod: V1Pod, change: (container: V1Container) => V1Container): V1Pod {
  const { initContainers = [], containers = [] } = pod.spec ?? {};
  return {
    ...pod,
    spec: { ...pod.spec, initContainers: initContainers.map(change), containers: containers.map(change) },
  };
}
