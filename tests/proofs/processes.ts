/** API and worker as processes of this machine, which is their node. */
import { readdirSync, readFileSync } from "node:fs";
import type { V1Pod } from "@kubernetes/client-node";
import { execa } from "execa";
import { core } from "../berth.ts";
import { inBerth } from "./platform.ts";

export type Component = "api" | "worker";

/** The component's pods that aren't about to go. */
export async function podsOf(component: Component): Promise<V1Pod[]> {
  const { items } = await core.listNamespacedPod({
    namespace: "berth",
    labelSelector: `app.kubernetes.io/name=${component}`,
  });
  return items.filter(({ metadata }) => !metadata?.deletionTimestamp);
}

const read = (file: string) => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // it has ended meanwhile
  }
};

/** The processes of the pod that `isMeant` takes by their command line, on this machine. */
const processesOf = ({ metadata }: V1Pod, isMeant: (commandLine: string) => boolean): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter(
      (pid) => read(`/proc/${pid}/cgroup`).includes(`pod${metadata?.uid}`) && isMeant(read(`/proc/${pid}/cmdline`)),
    )
    .map(Number);

/** The process of the runtime in the pod; undefined while there is none. */
export const processOf = (pod: V1Pod): number | undefined =>
  processesOf(pod, (commandLine) => commandLine.includes("dist/main.js"))[0];

/** Runs a command of this machine in the pod's network, for pods that have no shell and no Node. */
export async function inNetworkOf(pod: V1Pod, command: string[]): Promise<string> {
  const [pid] = processesOf(pod, () => true);
  if (pid === undefined) throw new Error(`pod ${pod.metadata?.name} has no process on this machine`);
  return (await execa("nsenter", [`--net=/proc/${pid}/ns/net`, ...command])).stdout;
}

/** Resident memory in MiB; undefined when the process has ended. */
export function memoryOf(pid: number): number | undefined {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1];
  return kib === undefined ? undefined : Number(kib) / 1024;
}

/** What the pod has logged, a line per event. */
export const logOf = async ({ metadata }: V1Pod): Promise<string[]> =>
  (await inBerth(["logs", `${metadata?.name}`]).catch(() => "")).split("\n").filter((line) => line.startsWith("{"));

/** Kills the process without a word of warning, and removes its pod so that another comes at once. Returns its log. */
export async function crash(pod: V1Pod): Promise<string[]> {
  const log = await logOf(pod);
  const pid = processOf(pod);
  try {
    if (pid !== undefined) process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as { code?: string }).code !== "ESRCH") throw error; // the autoscaler ended it meanwhile
  }
  const now = ["--force", "--grace-period=0", "--wait=false", "--ignore-not-found"];
  await inBerth(["delete", "pod", `${pod.metadata?.name}`, ...now]);
  return log;
}
