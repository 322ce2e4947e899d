/** For tests of the worker against a real cluster: a namespace, a worker, and what there is to see of its sessions. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { type Database, isDatabaseUnavailable } from "../database/database.ts";
import { loadKubeConfig } from "../pods/kubernetes.ts";
import { objectName, sessionLabel, sessionSelector } from "../pods/names.ts";
import type { Session } from "../sessions/session.ts";
import type { NewSession } from "../sessions/sessionStore.ts";
import { finalStates, podStates, type State } from "../sessions/state.ts";
import type { Tenant } from "../tenants/tenants.ts";
import { type ClusterWorkerOptions, startClusterWorker } from "./clusterWorker.ts";
import { freshDatabase, sessionOf, tenant, until } from "./fixtures.ts";
import { type StartedStores, startStores } from "./stores.ts";

process.env.KUBECONFIG ??= "/var/lib/berth/kubeconfig";
export const admin = loadKubeConfig().makeApiClient(CoreV1Api);

/** Makes a tenant's namespace and stores of its own before the file's tests and removes them afterwards. */
export function useCluster(changes: Parameters<typeof tenant>[1] = {}) {
  const namespace = `berth-test-${randomBytes(4).toString("hex")}`;
  const plenty = {
    requestsCpu: "1k",
    limitsCpu: "1k",
    requestsMemory: "1Ti",
    limitsMemory: "1Ti",
    pods: 1000,
    storage: "1Ti",
  };
  const acme = tenant("acme", { namespace, maxSessions: 1000, quota: plenty, workspace: { size: "64Mi" }, ...changes });
  const place = { namespace, acme } as { namespace: string; acme: Tenant } & StartedStores;
  beforeAll(async () => {
    const labels = { "berth.dev/tenant": "acme", "pod-security.kubernetes.io/enforce": "restricted" };
    await admin.createNamespace({ body: { metadata: { name: namespace, labels } } });
    await admin.createNamespacedServiceAccount({ namespace, body: { metadata: { name: "agent-runner" } } });
    await admin.createNamespacedConfigMap({ namespace, body: { metadata: { name: "agent-config" }, data: {} } });
    Object.assign(place, await startStores());
  }, 60_000);
  afterAll(async () => {
    await place.remove?.();
    await admin.deleteNamespace({ name: namespace, gracePeriodSeconds: 0 });
  }, 60_000);
  return place;
}

type Setup = Partial<Omit<ClusterWorkerOptions, "tenants" | "stores" | "database">> & { tenant?: Partial<Tenant> };

/** A worker with its own database, and sessions that this test makes. */
export async function openWorker(place: ReturnType<typeof useCluster>, { tenant: changes, ...setup }: Setup = {}) {
  const { namespace, stores } = place;
  const { name, database } = await freshDatabase(stores);
  const acme = { ...place.acme, ...changes };
  const options = { stores, database: name, namespace, tenants: [acme], ...setup };
  const { parts, tenants, stop } = await startClusterWorker(options);
  onTestFinished(stop);
  const { store, queue } = parts;
  const user = { name: "key:default" };
  const see = watcher(database);
  return {
    ...parts,
    ...see,
    database,
    options,
    tenants,
    acme,
    create: async (request: Partial<NewSession> = {}): Promise<Session> => {
      const made = sessionOf(await store.create({ tenant: "acme", namespace, tier: "small", ...request }, user));
      queue.look(made.id);
      return made;
    },
    stop: async (id: string) => {
      await store.stop(id, "acme", "Stopped by the user", user);
      queue.look(id);
    },
    suspend: async (id: string) => {
      const result = await store.suspend(id, "acme", user);
      queue.look(id);
      return result;
    },
    resume: async (id: string) => {
      const result = await store.resume(id, "acme", user);
      queue.look(id);
      return result;
    },
    find: (id: string) => store.find(id),
    /** The session as soon as it is in the state. */
    become: async (id: string, state: State): Promise<Session> => {
      let now: Session | undefined;
      await until(async () => {
        now = await store.find(id);
        if (now !== undefined && now.state !== state && finalStates.some((final) => final === now?.state)) {
          throw new Error(`The session is ${now.state} rather than ${state}: ${now.reason}`);
        }
        return now?.state === state;
      });
      if (now === undefined) throw new Error("no such session");
      return now;
    },
  };
}

/** Questions to the rows. */
export function watcher(database: Database) {
  /** Postgres may be away, or busy. */
  const statesOf = async () => {
    for (;;) {
      try {
        return await database.selectFrom("sessions").select("state").execute();
      } catch (error) {
        if (!isDatabaseUnavailable(error)) throw error;
        await sleep(200);
      }
    }
  };
  return {
    /** How many sessions are in one of the states. */
    numberIn: async (...wanted: State[]) => (await statesOf()).filter(({ state }) => wanted.includes(state)).length,
    /** Waits until all sessions are in one of the states. */
    allBecome: async (...wanted: State[]) => {
      while (!(await statesOf()).every(({ state }) => wanted.includes(state))) await sleep(100);
    },
  };
}

/** The kinds of objects that the session has in the cluster. */
export async function left(namespace: string, id: string): Promise<string[]> {
  const query = { namespace, labelSelector: `${sessionLabel}=${id}` };
  const [secrets, claims, pods] = await Promise.all([
    admin.listNamespacedSecret(query),
    admin.listNamespacedPersistentVolumeClaim(query),
    admin.listNamespacedPod(query),
  ]);
  return [
    ...secrets.items.map(() => "Secret"),
    ...claims.items.map(() => "PersistentVolumeClaim"),
    ...pods.items.map(() => "Pod"),
  ];
}

export const getPod = (namespace: string, id: string) => admin.readNamespacedPod({ namespace, name: objectName(id) });

/**
 * The full audit: rows, pods and volumes stand for each other one to one, and the audit trail tells every session's way
 * without a gap. Returns what is wrong, nothing if all is well; sessions must be settled.
 */
export async function audit(database: Database, namespace: string): Promise<string[]> {
  const faults: string[] = [];
  const query = { namespace, labelSelector: sessionSelector };
  const [rows, events, pods, claims, secrets] = await Promise.all([
    database.selectFrom("sessions").selectAll().where("namespace", "=", namespace).execute(),
    database
      .selectFrom("session_events")
      .selectAll()
      .where("type", "not in", ["progress", "command"])
      .orderBy("id")
      .execute(),
    admin.listNamespacedPod(query),
    admin.listNamespacedPersistentVolumeClaim(query),
    admin.listNamespacedSecret(query),
  ]);
  const idsOf = (list: { items: { metadata?: { labels?: Record<string, string> } }[] }) =>
    list.items.map(({ metadata }) => metadata?.labels?.[sessionLabel] ?? "none");
  const expect = (what: string, found: string[], wanted: string[]) => {
    const twice = found.filter((id, index) => found.indexOf(id) !== index);
    for (const id of twice) faults.push(`${what} of ${id} is there twice`);
    for (const id of found) if (!wanted.includes(id)) faults.push(`${what} of ${id} is left over`);
    for (const id of wanted) if (!found.includes(id)) faults.push(`${what} of ${id} is missing`);
  };
  const withPod = rows.filter(({ state }) => podStates.some((pod) => pod === state)).map(({ id }) => id);
  const withWorkspace = rows
    .filter(
      ({ id, state, workspace_until }) => withPod.includes(id) || state === "suspended" || workspace_until !== null,
    )
    .filter(({ workspace_mode }) => workspace_mode === "persistent")
    .map(({ id }) => id);
  expect("The pod", idsOf(pods), withPod);
  expect("The volume", idsOf(claims), withWorkspace);
  expect("The owner", idsOf(secrets), [...new Set([...withPod, ...withWorkspace])]);

  for (const { id, version, state } of rows) {
    const trail = events.filter(({ session_id }) => session_id === id);
    const versions = trail.map((event) => event.version);
    if (versions.join() !== Array.from({ length: version }, (_, index) => index + 1).join()) {
      faults.push(`The audit trail of ${id} has the versions ${versions.join()}, but the row is at ${version}`);
    }
    if (trail.at(-1)?.state !== state)
      faults.push(`The audit trail of ${id} ends in ${trail.at(-1)?.state}, not ${state}`);
    for (const type of ["ready", "gone"]) {
      const starts = trail.filter((event) => event.type === "admitted").length;
      if (trail.filter((event) => event.type === type).length > starts + 1) faults.push(`${id} was ${type} too often`);
    }
  }
  return faults;
}
