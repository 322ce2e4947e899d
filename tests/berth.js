/** What the end-to-end tests know of the deployed stack: its API, its keys, its cluster. */
import { PassThrough } from "node:stream";
import * as k8s from "@kubernetes/client-node";
import { kubeconfig } from "../local/lib/paths.ts";
import { stackOutputs } from "../local/pulumi/stack.ts";
export const { apiUrl, tenantKeys } = await stackOutputs("dev");
/** The key of the tenant in the stack `dev`. */
export function keyOf(tenant) {
    const key = tenantKeys[tenant]?.default;
    if (key === undefined)
        throw new Error(`the stack has no key "default" of ${tenant}`);
    return key;
}
/** Calls the API with the key; `body` is sent as JSON. */
export function call(key, method, path, body) {
    const headers = { authorization: `Bearer ${key}` };
    if (body !== undefined)
        headers["content-type"] = "application/json";
    return fetch(new URL(path, apiUrl), { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
}
/** Polls until `look` gives a value other than undefined; fails after `seconds` with `what`. */
export async function until(what, seconds, look) {
    const deadline = performance.now() + seconds * 1000;
    for (;;) {
        const value = await look();
        if (value !== undefined)
            return value;
        if (performance.now() > deadline)
            throw new Error(`after ${seconds} s still not: ${what()}`);
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
}
/** Waits for the session's state; a session that fails instead ends the wait with its reason. */
export async function reaches(key, id, state) {
    let session;
    const what = () => `${state}; the session is ${session?.state}: ${session?.reason}`;
    return until(what, 90, async () => {
        session = (await (await call(key, "GET", `/v1/sessions/${id}`)).json());
        if (session.state === "failed" && state !== "failed")
            throw new Error(`session ${id} failed: ${session.reason}`);
        return session.state === state ? session : undefined;
    });
}
const config = new k8s.KubeConfig();
config.loadFromFile(kubeconfig);
export const core = config.makeApiClient(k8s.CoreV1Api);
/** Runs a command in the session's agent container and returns what it wrote to standard output. */
export async function inAgent(namespace, id, command) {
    const [out, err] = [new PassThrough(), new PassThrough()];
    const written = out.setEncoding("utf8").toArray();
    await new Promise((resolve, reject) => {
        new k8s.Exec(config)
            .exec(namespace, `agent-${id}`, "agent", command, out, err, null, false, () => resolve())
            .catch(reject);
    });
    out.end();
    return (await written).join("");
}
/** The names of what exists in the namespace for the session: pod, claim and secret. */
export async function leftovers(namespace, id) {
    const query = { namespace, labelSelector: `berth.dev/session=${id}` };
    const lists = await Promise.all([
        core.listNamespacedPod(query),
        core.listNamespacedPersistentVolumeClaim(query),
        core.listNamespacedSecret(query),
    ]);
    const volumes = (await core.listPersistentVolume()).items.filter((pv) => pv.spec?.claimRef?.name === `agent-${id}`);
    return [...lists.flatMap((list) => list.items), ...volumes].map((object) => `${object.metadata?.name}`);
}
