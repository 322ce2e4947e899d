/** Prints which programs of Berth run and which don't. */
import { addons } from "../cluster/addons.ts";
import { apiserver, components } from "../cluster/components.ts";
import { pidInNode } from "../cluster/daemons.ts";
import { kubectl } from "../cluster/kubectl.ts";
import { dockerStatus } from "../docker.ts";
import { stackOutputs } from "../pulumi/stack.ts";
import { stack } from "./up.ts";

interface ProgramStatus {
  name: string;
  running: boolean;
  detail: string;
}

/** Prints one line per program. The exit code is 1 unless all programs run. */
export async function status(): Promise<void> {
  const docker = await dockerStatus();
  const programs: ProgramStatus[] = [
    { name: "docker", running: docker === "running", detail: docker },
    ...(await clusterStatus()),
    { name: `stack ${stack}`, ...(await apiStatus()) },
  ];
  const width = Math.max(...programs.map((program) => program.name.length));
  for (const program of programs)
    console.log(`${program.running ? "✓" : "✗"} ${program.name.padEnd(width)}  ${program.detail}`);
  if (!programs.every((program) => program.running)) process.exitCode = 1;
}

/** Returns the status of each daemon and, if the API server runs, of the node and of the add-ons. Changes nothing. */
async function clusterStatus(): Promise<ProgramStatus[]> {
  const daemons = components.map((daemon) => {
    const pid = pidInNode(daemon);
    return { name: daemon.name, running: pid !== undefined, detail: pid === undefined ? "stopped" : `pid ${pid}` };
  });
  // Without an API server, kubectl would wait in vain.
  const answering = pidInNode(apiserver) !== undefined;
  const inCluster = answering ? await Promise.all([nodeStatus(), ...addons.map(addonStatus)]) : [];
  return [...daemons, ...inCluster];
}

async function nodeStatus(): Promise<ProgramStatus> {
  const path = '{range .items[*].status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}';
  const [ready, ...message] = (await ask(["get", "nodes", "-o", `jsonpath=${path}`])).split(" ");
  return { name: "node", running: ready === "True", detail: message.join(" ") || "not registered" };
}

async function addonStatus({ name, namespace }: (typeof addons)[number]): Promise<ProgramStatus> {
  const path = "jsonpath={.status.readyReplicas}";
  const running = Number(await ask(["-n", namespace, "get", "deployment", name, "-o", path])) > 0;
  return { name, running, detail: running ? "ready" : "not ready" };
}

/** Returns kubectl's output; an empty text if the API server doesn't answer within 5 s. */
const ask = (args: string[]) => kubectl(["--request-timeout=5s", ...args]).catch(() => "");

/** Whether the deployed API says that it is ready. */
async function apiStatus(): Promise<{ running: boolean; detail: string }> {
  try {
    const { apiUrl } = await stackOutputs(stack);
    if (apiUrl === undefined) return { running: false, detail: "not deployed" };
    const response = await fetch(`${apiUrl}/health/ready`, { signal: AbortSignal.timeout(5_000) });
    return { running: response.ok, detail: `${apiUrl} ${response.ok ? "ready" : `answers ${response.status}`}` };
  } catch {
    return { running: false, detail: "not reachable" };
  }
}
