/** What of the cluster runs. */
import { pidOf } from "../lib/process.ts";
import { components } from "./components.ts";
import { guardCounters } from "./guard.ts";
import { kubectl } from "./kubectl.ts";
/** The guard, each daemon, the node and the add-ons. Asks only what is there; changes nothing. */
export async function clusterStatus() {
    const daemons = components.map(({ name }) => {
        const pid = pidOf(name);
        return { name, running: pid !== undefined, detail: pid === undefined ? "stopped" : `pid ${pid}` };
    });
    // without an apiserver a call would only wait
    const answering = pidOf("kube-apiserver") !== undefined;
    const inCluster = answering ? await Promise.all([nodeStatus(), ...addons.map(addonStatus)]) : [];
    return [await guardStatus(), ...daemons, ...inCluster];
}
const addons = [
    { name: "coredns", namespace: "kube-system" },
    { name: "local-path-provisioner", namespace: "local-path-storage" },
];
async function guardStatus() {
    const counters = await guardCounters().catch(() => undefined);
    if (counters === undefined)
        return { name: "guard", running: false, detail: "not up" };
    const { refused, leaked } = counters;
    return { name: "guard", running: true, detail: `${refused} packets refused, ${leaked} leaked` };
}
async function nodeStatus() {
    const path = '{range .items[*].status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}';
    const [ready, ...message] = (await ask(["get", "nodes", "-o", `jsonpath=${path}`])).split(" ");
    return { name: "node", running: ready === "True", detail: message.join(" ") || "not registered" };
}
async function addonStatus(addon) {
    const path = "{.status.readyReplicas}";
    const ready = await ask(["-n", addon.namespace, "get", "deployment", addon.name, "-o", `jsonpath=${path}`]);
    return { name: addon.name, running: Number(ready) > 0, detail: Number(ready) > 0 ? "ready" : "not ready" };
}
/** Empty if the apiserver doesn't answer soon. */
const ask = (args) => kubectl(["--request-timeout=5s", ...args]).catch(() => "");
