/** API, gateway and worker as processes of this machine, which is also their node. */
import { readdirSync, readFileSync } from "node:fs";
import { Hopeless, until } from "@berth/testing/until.ts";
import type { V1Pod } from "@kubernetes/client-node";
import { execa } from "execa";
import { core } from "../berth.ts";
import { inBerth } from "./platform.ts";

export type Component = "api" | "gateway" | "worker";

/** Returns the component's pods that are not being deleted. */
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
    return ""; // the process has ended meanwhile
  }
};

/** Returns the processes of the pod whose command line `isMeant` accepts. */
const processesOf = ({ metadata }: V1Pod, isMeant: (commandLine: string) => boolean): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter(
      (pid) => read(`/proc/${pid}/cgroup`).includes(`pod${metadata?.uid}`) && isMeant(read(`/proc/${pid}/cmdline`)),
    )
    .map(Number);

/** Returns the process of the runtime in the pod; undefined if there is none. */
export const processOf = (pod: V1Pod): number | undefined =>
  processesOf(pod, (commandLine) => commandLine.includes("dist/main.js"))[0];

/**
 * Runs a program of this machine, but in the pod's network namespace. This is for pods whose image has neither a shell nor
 * Node.js.
 */
export async function inNetworkOf(pod: V1Pod, command: string[]): Promise<string> {
  const [pid] = processesOf(pod, () => true);
  if (pid === undefined) throw new Error(`pod ${pod.metadata?.name} has no process on this machine`);
  return (await execa("nsenter", [`--net=/proc/${pid}/ns/net`, ...command])).stdout;
}

/** Returns the resident memory in MiB; undefined if the process has ended. */
export function memoryOf(pid: number): number | undefined {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1];
  return kib === undefined ? undefined : Number(kib) / 1024;
}

/**
 * A script that connects to the debugger of a Node.js process, collects all garbage of that process, and prints how many bytes
 * the process still uses.
 */
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
 * Returns the memory that the runtime's process in the pod uses after a garbage collection, in MiB; undefined if the process
 * has ended. Resident memory would depend on the time of the last garbage collection. SIGUSR1 makes Node.js open its debugger on
 * the pod's loopback.
 */
export async function heldBy(pod: V1Pod): Promise<number | undefined> {
  const pid = processOf(pod);
  if (pid === undefined) return undefined;
  try {
    process.kill(pid, "SIGUSR1");
    const bytes = await until("the debugger of Node.js answers", 30, async () => {
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

/** Returns the log of the pod, one event per line. Before it comes the log of the process that Kubernetes last replaced, if any. */
export async function logOf({ metadata }: V1Pod): Promise<string[]> {
  const log = (...flags: string[]) => inBerth(["logs", `${metadata?.name}`, ...flags]).catch(() => "");
  const text = (await log("--previous")) + (await log());
  return text.split("\n").filter((line) => line.startsWith("{"));
}

/** Kills the pod's process without a warning, and deletes the pod, so that a new pod starts at once. Returns the pod's log. */
export async function crash(pod: V1Pod): Promise<string[]> {
  const log = await logOf(pod);
  const pid = processOf(pod);
  try {
    if (pid !== undefined) process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as { code?: string }).code !== "ESRCH") throw error; // the autoscaler has ended the process meanwhile
  }
  const now = ["--force", "--grace-period=0", "--wait=false", "--ignore-not-found"];
  await inBerth(["delete", "pod", `${pod.metadata?.name}`, ...now]);
  return log;
}
