/** Gives tests a namespace in a real cluster, a worker, and functions that observe the worker's sessions. */
import { randomBytes } from "node:crypto";
import { Hopeless, patience, until } from "@berth/testing/until.ts";
import { CoreV1Api, Exec } from "@kubernetes/client-node";
import { afterAll, beforeAll, onTestFinished, TestRunner } from "vitest";
import { machine } from "../../../machine/machine.ts";
import { loadKubeConfig } from "../cluster/kubernetes.ts";
import { objectName, sessionLabel } from "../cluster/names.ts";
import type { Session } from "../domain/session.ts";
import { isFinal, type State } from "../domain/states/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import type { Database } from "../store/database.ts";
import type { NewSession } from "../store/newSession.ts";
import { auditOf } from "./audit.ts";
import { type ClusterWorkerOptions, startClusterWorker } from "./clusterWorker.ts";
import { freshDatabase, ownStores, sessionOf, tenant } from "./fixtures.ts";
import { type StartedStores, type Stores, startStores } from "./stores.ts";

process.env.KUBECONFIG ??= machine.kubeconfig;
export const admin = loadKubeConfig().makeApiClient(CoreV1Api);

/** The namespace for the sessions of a test file. */
export interface TenantNamespace {
  namespace: string;
  /** The tenant that owns the namespace. */
  acme: Tenant;
  stores: Stores;
}

/**
 * Creates a tenant's namespace before the file's tests and removes it afterwards. The stores are those of this vitest
 * worker.
 */
export function useCluster(changes: Parameters<typeof tenant>[1] = {}): TenantNamespace {
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
  beforeAll(async () => {
    const labels = { "berth.dev/tenant": "acme", "pod-security.kubernetes.io/enforce": "restricted" };
    await admin.createNamespace({ body: { metadata: { name: namespace, labels } } });
    await admin.createNamespacedServiceAccount({ namespace, body: { metadata: { name: "agent-runner" } } });
    await admin.createNamespacedConfigMap({ namespace, body: { metadata: { name: "agent-config" }, data: {} } });
  });
  afterAll(() => admin.deleteNamespace({ name: namespace, gracePeriodSeconds: 0 }));
  return {
    namespace,
    acme,
    get stores() {
      return ownStores();
    },
  };
}

/**
 * Gives the namespace of `useCluster` stores that belong to this test file alone: for files that end their stores, and for
 * projects without stores.
 */
export function useOwnStores({ namespace, acme }: TenantNamespace): TenantNamespace & StartedStores {
  const own = { namespace, acme } as TenantNamespace & StartedStores;
  beforeAll(async () => void Object.assign(own, await startStores()));
  afterAll(() => own.remove?.());
  return own;
}

type Setup = Partial<Omit<ClusterWorkerOptions, "tenants" | "stores" | "database">> & { tenant?: Partial<Tenant> };

/** A worker with its own database and its own sessions. */
export async function openWorker(place: TenantNamespace, { tenant: changes, ...setup }: Setup = {}) {
  const { namespace, stores } = place;
  const { name, database } = await freshDatabase(stores);
  const acme = { ...place.acme, ...changes };
  const options = { stores, database: name, namespace, tenants: [acme], ...setup };
  const { components, tenants, closed, changed, stop } = await startClusterWorker(options);
  onTestFinished(stop);
  const { records, planner, queue, sweep } = components;
  const user = { name: "key:default" };
  const see = watcher(database);
  return {
    ...components,
    ...see,
    database,
    options,
    tenants,
    closed,
    changed,
    acme,
    create: async (request: Partial<NewSession> = {}): Promise<Session> => {
      const made = sessionOf(
        await records.creation.create({ tenant: "acme", namespace, tier: "small", ...request }, user),
      );
      planner.wake();
      return made;
    },
    stop: async (id: string) => {
      await records.commands.stop(id, "acme", "Stopped by the user", user);
      queue.trigger(id);
    },
    suspend: async (id: string) => {
      const result = await records.commands.suspend(id, "acme", user);
      queue.trigger(id);
      return result;
    },
    resume: async (id: string) => {
      const result = await records.commands.resume(id, "acme", user);
      queue.trigger(id);
      return result;
    },
    find: (id: string) => records.queries.find(id),
    /** Waits until the session is in the state. Throws at once if the session has ended in another state. */
    become: (id: string, state: State): Promise<Session> =>
      until(
        `session ${id} is ${state}`,
        deadline(),
        async () => {
          const now = await records.queries.find(id);
          if (now !== undefined) await checkEnd(now, [state]);
          return now;
        },
        (now) => now?.state === state,
      ),
    /** Waits until the session's reason matches. */
    untilReason: (id: string, reason: RegExp): Promise<Session> =>
      until(
        `session ${id} tells ${reason}`,
        deadline(),
        () => records.queries.find(id),
        (now) => reason.test(now?.reason ?? ""),
      ),
    /**
     * Waits until the sweep has compared rows and cluster this many more times. Each comparison creates new findings.
     */
    sweeps: async (times: number) => {
      for (let done = 0; done < times; done += 1) {
        const before = sweep.findings();
        await until("the sweep has compared once more", 60, () => {
          const now = sweep.findings();
          return now !== before && now;
        });
      }
    },
    /** Waits until the session has no object in the cluster. */
    vanish: (id: string) =>
      until(
        `nothing is left of session ${id}`,
        deadline(),
        () => left(namespace, id),
        (kinds) => kinds.length === 0,
      ),
  };
}

/**
 * The deadline of each wait here, in seconds. With `patience`, it is shorter than the time limit of the test, so that a wait that
 * fails can still report what it saw.
 */
const deadline = () => ((TestRunner.getCurrentTest()?.timeout ?? 600_000) * 0.8) / 1_000 / patience;

/** Stops the wait if the session has ended in another state. The error has the newest warnings of the session's namespace. */
async function checkEnd(
  { state, reason, namespace }: Pick<Session, "state" | "reason" | "namespace">,
  wanted: State[],
) {
  if (wanted.includes(state) || !isFinal(state)) return;
  const { items } = await admin.listNamespacedEvent({ namespace, fieldSelector: "type=Warning" });
  const warnings = items.slice(-5).map(({ involvedObject, message }) => `${involvedObject.name}: ${message}`);
  throw new Hopeless([`A session is ${state} rather than ${wanted.join(" or ")}: ${reason}`, ...warnings].join("\n"));
}

/** Queries on the rows. */
export function watcher(database: Database) {
  const rows = () => database.selectFrom("sessions").select(["state", "reason", "namespace"]).execute();
  const numberIn = async (...wanted: State[]) => (await rows()).filter(({ state }) => wanted.includes(state)).length;
  return {
    /** How many sessions are in one of the states. */
    numberIn,
    /** Waits until at least this many sessions are in one of the states. */
    someBecome: (least: number, ...wanted: State[]) =>
      until(
        `at least ${least} sessions are ${wanted.join(" or ")}`,
        deadline(),
        () => numberIn(...wanted),
        (number) => number >= least,
      ),
    /** Waits until all sessions are in one of the states. Throws at once if a session has ended in another state. */
    allBecome: (...wanted: State[]) =>
      until(
        `all sessions are ${wanted.join(" or ")}`,
        deadline(),
        async () => {
          const now = await rows();
          for (const row of now) await checkEnd(row, wanted);
          return now.map(({ state }) => state);
        },
        (states) => states.every((state) => wanted.includes(state)),
      ),
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

/** Runs the program in a container of the session's pod. Resolves when the program has ended. */
export async function execIn(namespace: string, id: string, container: string, command: string[]): Promise<void> {
  const exec = new Exec(loadKubeConfig());
  const socket = await exec.exec(namespace, objectName(id), container, command, null, process.stderr, null, false);
  await new Promise((resolve) => socket.on("close", resolve));
}

export const getPod = (namespace: string, id: string) => admin.readNamespacedPod({ namespace, name: objectName(id) });

/** The full audit; see audit.ts. */
export const audit = (database: Database, namespace: string): Promise<string[]> => auditOf(admin, database, namespace);
