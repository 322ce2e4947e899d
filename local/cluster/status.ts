/** What of the cluster runs. */
import { apiserver, components } from "./components.ts";
import { pidOf } from "./daemons.ts";
import { kubectl } from "./kubectl.ts";

export interface PartStatus {
  name: string;
  running: boolean;
  detail: string;
}

/** Each daemon, the node and the add-ons. Asks only what is there; changes nothing. */
export async function clusterStatus(): Promise<PartStatus[]> {
  const daemons = components.map((daemon) => {
    const pid = pidOf(daemon);
    return { name: daemon.name, running: pid !== undefined, detail: pid === undefined ? "stopped" : `pid ${pid}` };
  });
  // without an apiserver a call would only wait
  const answering = pidOf(apiserver) !== undefined;
  const inCluster = answering ? await Promise.all([nodeStatus(), ...addons.map(addonStatus)]) : [];
  return [...daemons, ...inCluster];
}

const addons = [
  { name: "coredns", namespace: "kube-system" },
  { name: "local-path-provisioner", namespace: "local-path-storage" },
];

async function nodeStatus(): Promise<PartStatus> {
  const path = '{range .items[*].status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}';
  const [ready, ...message] = (await ask(["get", "nodes", "-o", `jsonpath=${path}`])).split(" ");
  return { name: "node", running: ready === "True", detail: message.join(" ") || "not registered" };
}

async function addonStatus(addon: { name: string; namespace: string }): Promise<PartStatus> {
  const path = "{.status.readyReplicas}";
  const ready = await ask(["-n", addon.namespace, "get", "deployment", addon.name, "-o", `jsonpath=${path}`]);
  return { name: addon.name, running: Number(ready) > 0, detail: Number(ready) > 0 ? "ready" : "not ready" };
}

/** Empty if the apiserver doesn't answer soon. */
const ask = (args: string[]) => kubectl(["--request-timeout=5s", ...args]).catch(() => "");
