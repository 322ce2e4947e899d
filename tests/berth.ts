/** What the end-to-end tests know of the deployed stack: its API, its keys, its cluster. */
import { PassThrough } from "node:stream";
import * as k8s from "@kubernetes/client-node";
import pRetry from "p-retry";
import { kubeconfig } from "../local/lib/paths.ts";
import { stackOutputs } from "../local/pulumi/stack.ts";

export interface Session {
  id: string;
  tier: string;
  state: string;
  reason: string | null;
  links: { self: string; desktop: string };
}

export const { apiUrl, tenantKeys } = await stackOutputs("dev");

/** The key of the tenant in the stack `dev`. */
export function keyOf(tenant: "acme" | "globex"): string {
  const key = tenantKeys[tenant]?.default;
  if (key === undefined) throw new Error(`the stack has no key "default" of ${tenant}`);
  return key;
}

/** Calls the API with the key; `body` is sent as JSON. */
export function call(key: string, method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { authorization: `Bearer ${key}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  return fetch(new URL(path, apiUrl), { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
}

/** The same call, again for half a minute while no replica of the API is ready, as on a machine that is busy. */
export const patientCall: typeof call = (...request) =>
  pRetry(() => call(...request), {
    retries: 30,
    minTimeout: 1_000,
    factor: 1,
    shouldRetry: ({ error }) => (error.cause as { code?: string } | undefined)?.code === "ECONNREFUSED",
  });

/** Polls until `look` gives a value other than undefined; fails after `seconds` with `what`. */
export async function until<T>(what: () => string, seconds: number, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`after ${seconds} s still not: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Waits, by default for 90 s, for the session's state; a session that fails instead ends the wait with its reason. */
export async function reaches(key: string, id: string, state: string, seconds = 90): Promise<Session> {
  let session: Session | undefined;
  const what = () => `${state}; the session is ${session?.state}: ${session?.reason}`;
  return until(what, seconds, async () => {
    session = (await (await patientCall(key, "GET", `/v1/sessions/${id}`)).json()) as Session;
    if (session.state === "failed" && state !== "failed") throw new Error(`session ${id} failed: ${session.reason}`);
    return session.state === state ? session : undefined;
  });
}

/** The local cluster, seen as its administrator. */
export const cluster = new k8s.KubeConfig();
cluster.loadFromFile(kubeconfig);
export const core = cluster.makeApiClient(k8s.CoreV1Api);

/** Runs a command in the session's agent container and returns what it wrote to standard output. */
export async function inAgent(namespace: string, id: string, command: string[]): Promise<string> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const written = out.setEncoding("utf8").toArray();
  await new Promise<void>((resolve, reject) => {
    new k8s.Exec(cluster)
      .exec(namespace, `agent-${id}`, "agent", command, out, err, null, false, () => resolve())
      .catch(reject);
  });
  out.end();
  return (await written).join("");
}

/** The names of what exists in the namespace for the session: pod, claim and secret. */
export async function leftovers(namespace: string, id: string): Promise<string[]> {
  const query = { namespace, labelSelector: `berth.dev/session=${id}` };
  const lists: { items: { metadata?: k8s.V1ObjectMeta }[] }[] = await Promise.all([
    core.listNamespacedPod(query),
    core.listNamespacedPersistentVolumeClaim(query),
    core.listNamespacedSecret(query),
  ]);
  const volumes = (await core.listPersistentVolume()).items.filter((pv) => pv.spec?.claimRef?.name === `agent-${id}`);
  return [...lists.flatMap((list) => list.items), ...volumes].map((object) => `${object.metadata?.name}`);
}

/** The address of the session's desktop, a WebSocket. */
export const desktopUrl = (id: string) => new URL(`/v1/sessions/${id}/desktop`, apiUrl.replace(/^http/, "ws")).href;
