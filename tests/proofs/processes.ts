/** API, gateway and worker as processes of this machine, which is their node. */
import { readdirSync, readFileSync } from "node:fs";
import { Hopeless, until } from "@berth/testing/until.ts";
import type { V1Pod } from "@kubernetes/client-node";
import { execa } from "execa";
import { core } from "../berth.ts";
import { inBerth } from "./platform.ts";

export type Component = "api" | "gateway" | "worker";

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

/** Asks the debugger of a Node process to collect all garbage, and prints the bytes that are left. */
const collectGarbage = `
  const [{ webSocketDebuggerUrl }] = await (await fetch("http://127.0.0.1:9229/json")).json();
  const socket = new WebSocket(webSocketDebuggerUrl);
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
  const call = (method) => new Promise((resolve) => {
    socket.onmessage = ({ data }) => resolve(JSON.parse(data).result);
    socket.send(JSON.stringify({ id: 1, method }));
  });
  await call("HeapProfiler.collectGarbage");
  const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await call("Runtime.getHeapUsage");
  console.log(usedSize + embedderHeapUsedSize + backingStorageSize);
  socket.close();`;

/**
 * What the runtime's process in the pod holds after a garbage collection, in MiB; undefined when the process has ended.
 * Resident memory would tell how lately garbage was collected. SIGUSR1 opens Node's debugger on the pod's own loopback.
 */
export async function heldBy(pod: V1Pod): Promise<number | undefined> {
  const pid = processOf(pod);
  if (pid === undefined) return undefined;
  try {
    process.kill(pid, "SIGUSR1");
    const bytes = await until("Node's debugger answers", 30, async () => {
      if (processOf(pod) !== pid) throw new Hopeless("the process has ended");
      return inNetworkOf(pod, [process.execPath, "--input-type=module", "--eval", collectGarbage]).catch(
        () => undefined,
      );
    });
    return Number(bytes) / 2 ** 20;
  } catch (error) {
    if (processOf(pod) === pid) throw error;
    return undefined;
  }
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
