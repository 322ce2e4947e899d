/** The deployed stack, as the end-to-end tests use it: its API, its keys and its cluster. */
import { PassThrough } from "node:stream";
import { Hopeless, until } from "@berth/testing/until.ts";
import * as k8s from "@kubernetes/client-node";
import { stackOutputs } from "../local/pulumi/stack.ts";
import { machine } from "../machine/machine.ts";
import { countIfRefused } from "./refusals.ts";

const { kubeconfig } = machine;

export interface Session {
  id: string;
  tier: string;
  state: string;
  reason: string | null;
  links: { self: string; desktop: string };
}

export let { apiUrl, tenantKeys } = await stackOutputs("dev");

/** Reads the API's address and the keys again. A test that has destroyed and deployed the stack needs the new keys. */
export async function readOutputs(): Promise<void> {
  ({ apiUrl, tenantKeys } = await stackOutputs("dev"));
}

/** Returns the key of the tenant in the stack `dev`. */
export function keyOf(tenant: "acme" | "globex"): string {
  const key = tenantKeys[tenant]?.default;
  if (key === undefined) throw new Error(`the stack has no key "default" of ${tenant}`);
  return key;
}

/** Calls the API with the API key `key`, and sends `body` as JSON. Refused connections are counted (refusals.ts). */
export async function call(
  key: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const all: Record<string, string> = { ...headers, authorization: `Bearer ${key}` };
  if (body !== undefined) all["content-type"] = "application/json";
  const request = { method, headers: all, ...(body !== undefined && { body: JSON.stringify(body) }) };
  return fetch(new URL(path, apiUrl), request).catch((error: unknown) => {
    countIfRefused(`${method} ${path}`, error);
    throw error;
  });
}

/**
 * Waits until the session has the state. `seconds` is the deadline for a machine without other load; the real deadline is four
 * times as long (see `patience` in testing/until.ts). If the session fails, throws an error with the session's reason.
 */
export const reaches = (key: string, id: string, state: string, seconds = 90): Promise<Session> =>
  until(
    `session ${id} is ${state}`,
    seconds,
    async () => {
      const session = (await (await call(key, "GET", `/v1/sessions/${id}`)).json()) as Session;
      if (session.state === "failed" && state !== "failed")
        throw new Hopeless(`session ${id} failed: ${session.reason}`);
      return session;
    },
    (session) => session.state === state,
  );

/** The local cluster, with administrator permissions. */
export const cluster = new k8s.KubeConfig();
cluster.loadFromFile(kubeconfig);
export const core = cluster.makeApiClient(k8s.CoreV1Api);

/** Runs a command in the session's agent container, and returns its standard output. Does not check its exit code. */
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

/**
 * Returns the names of the objects that belong to the sessions `ids`: pods, volume claims and Secrets in the namespace, and
 * volumes, which have no namespace.
 */
export async function leftovers(namespace: string, ...ids: string[]): Promise<string[]> {
  const query = { namespace, labelSelector: `berth.dev/session in (${ids.join(",")})` };
  const claims = ids.map((id) => `agent-${id}`);
  const lists: { items: { metadata?: k8s.V1ObjectMeta }[] }[] = await Promise.all([
    core.listNamespacedPod(query),
    core.listNamespacedPersistentVolumeClaim(query),
    core.listNamespacedSecret(query),
  ]);
  const volumes = (await core.listPersistentVolume()).items.filter(({ spec }) =>
    claims.includes(`${spec?.claimRef?.name}`),
  );
  return [...lists.flatMap((list) => list.items), ...volumes].map((object) => `${object.metadata?.name}`);
}

/** Waits until the cluster has no volume with a claim in the namespace. The namespace may already be deleted. */
export const noVolumeLeft = (namespace: string): Promise<unknown> =>
  until(
    `no volume of the namespace ${namespace} is left`,
    60,
    async () => (await core.listPersistentVolume()).items.map(({ spec }) => spec?.claimRef?.namespace),
    (namespaces) => !namespaces.includes(namespace),
  );

/** Returns the WebSocket URL of the session's desktop. */
export const desktopUrl = (id: string) => new URL(`/v1/sessions/${id}/desktop`, apiUrl.replace(/^http/, "ws")).href;
