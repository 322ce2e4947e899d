/** Finds out which parts of the cluster run. */
import { addons } from "./addons.ts";
import { apiserver, components } from "./components.ts";
import { pidOf } from "./daemons.ts";
import { kubectl } from "./kubectl.ts";

export interface PartStatus {
  name: string;
  running: boolean;
  detail: string;
}

/** Returns the status of each daemon and, if the API server runs, of the node and of the add-ons. Changes nothing. */
export async function clusterStatus(): Promise<PartStatus[]> {
  const daemons = components.map((daemon) => {
    const pid = pidOf(daemon);
    return { name: daemon.name, running: pid !== undefined, detail: pid === undefined ? "stopped" : `pid ${pid}` };
  });
  // Without an API server, kubectl would wait in vain.
  const answering = pidOf(apiserver) !== undefined;
  const inCluster = answering ? await Promise.all([nodeStatus(), ...addons.map(addonStatus)]) : [];
  return [...daemons, ...inCluster];
}

async function nodeStatus(): Promise<PartStatus> {
  const path = '{range .items[*].status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}';
  const [ready, ...message] = (await ask(["get", "nodes", "-o", `jsonpath=${path}`])).split(" ");
  return { name: "node", running: ready === "True", detail: message.join(" ") || "not registered" };
}

async function addonStatus({ name, namespace }: (typeof addons)[number]): Promise<PartStatus> {
  const path = "jsonpath={.status.readyReplicas}";
  const running = Number(await ask(["-n", namespace, "get", "deployment", name, "-o", path])) > 0;
  return { name, running, detail: running ? "ready" : "not ready" };
}

/** Returns kubectl's output; an empty text if the API server doesn't answer within 5 s. */
const ask = (args: string[]) => kubectl(["--request-timeout=5s", ...args]).catch(() => "");
