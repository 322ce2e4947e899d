/** For tests of the worker against a real cluster: a namespace, a worker, and what there is to see of its sessions. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { type Database, isDatabaseUnavailable } from "../database/database.ts";
import { loadKubeConfig } from "../pods/kubernetes.ts";
import { objectName, sessionLabel } from "../pods/names.ts";
import type { Session } from "../sessions/session.ts";
import type { NewSession } from "../sessions/sessionStore.ts";
import { finalStates, type State } from "../sessions/state.ts";
import type { Tenant } from "../tenants/tenants.ts";
import { auditOf } from "./audit.ts";
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

/** The full audit, of which audit.ts tells. */
export const audit = (database: Database, namespace: string): Promise<string[]> => auditOf(admin, database, namespace);
