/**
 * The life of a session on a real cluster, with all that the worker consists of, in a namespace of its own. The
 * containers are replaced by a shell, so that these tests don't depend on the agent's image: its desktop is tested end to
 * end elsewhere.
 */
import { randomBytes } from "node:crypto";
import { CoreV1Api, type V1Container, type V1Pod } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { Metrics } from "../metrics/metrics.ts";
import { type CoreApi, connectKubernetes, loadKubeConfig } from "../pods/kubernetes.ts";
import { objectName, sessionLabel } from "../pods/names.ts";
import { PodWatch } from "../pods/podWatch.ts";
import { SessionObjects } from "../pods/sessionObjects.ts";
import { connectBlockingRedis, connectRedis } from "../queue/redis.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { Reconciler } from "../sessions/reconciler.ts";
import type { Session } from "../sessions/session.ts";
import { SessionStore } from "../sessions/sessionStore.ts";
import type { State } from "../sessions/state.ts";
import { cipher, freshDatabase, sessionOf, silent, storesConfig, tenant, until } from "../testing/fixtures.ts";
import { type Stores, startStores } from "../testing/stores.ts";
import { SessionWorker } from "./sessionWorker.ts";
import { Sweep } from "./sweep.ts";

process.env.KUBECONFIG ??= "/var/lib/berth/kubeconfig";
const kubeConfig = loadKubeConfig();
const admin = kubeConfig.makeApiClient(CoreV1Api);
const namespace = `berth-test-${randomBytes(4).toString("hex")}`;
const image = "127.0.0.1:5000/docker.io/library/debian:bookworm-slim";
const acme = tenant("acme", { namespace });

let stores: Stores;
let removeStores: () => Promise<void>;

beforeAll(async () => {
  const pods = `pod-security.kubernetes.io`;
  await admin.createNamespace({
    body: { metadata: { name: namespace, labels: { "berth.dev/tenant": "acme", [`${pods}/enforce`]: "restricted" } } },
  });
  await admin.createNamespacedServiceAccount({ namespace, body: { metadata: { name: "agent-runner" } } });
  await admin.createNamespacedConfigMap({ namespace, body: { metadata: { name: "agent-config" }, data: {} } });
  ({ stores, remove: removeStores } = await startStores());
}, 60_000);

afterAll(async () => {
  await removeStores?.();
  await admin.deleteNamespace({ name: namespace, gracePeriodSeconds: 0 });
}, 60_000);

/** Waits for SIGTERM, and ends at once then. */
const waitForEnd = "trap 'exit 0' TERM; sleep infinity & wait";

interface Setup {
  /** What the agent container runs. */
  agent?: string;
  image?: string;
}

/** A worker with its own database, and sessions that this test makes. */
async function open({ agent = waitForEnd, image: agentImage = image }: Setup = {}) {
  const { name, database } = await freshDatabase(stores);
  const config = storesConfig(name, "", stores);
  const redis = connectRedis(config, silent);
  const blocking = connectBlockingRedis(config, silent);
  await until(() => redis.status === "ready");
  await redis.flushall();

  const store = new SessionStore(database, cipher);
  const queue = new SessionQueue(redis, silent);
  const metrics = new Metrics(store, queue);
  const core = inShell(connectKubernetes(kubeConfig), agent);
  const objects = new SessionObjects(core, { agentImage, proxyToken: (id) => `token-of-${id}` });
  const reconciler = new Reconciler({
    store,
    objects,
    tenant: (wanted) => (wanted === "acme" ? acme : undefined),
    limits: { startTimeoutSeconds: 300 },
  });
  const worker = new SessionWorker(blocking, queue, reconciler, metrics, silent);
  const sweep = new Sweep(store, queue, silent, 1_000);
  const onChange = (id: string) => queue.look(id);
  const watch = new PodWatch(kubeConfig, core, { namespace, onChange, onRestart: () => {}, logger: silent });
  worker.onApplicationBootstrap();
  sweep.onApplicationBootstrap();
  onTestFinished(async () => {
    await watch.stop();
    await sweep.onApplicationShutdown();
    await worker.onApplicationShutdown();
    await queue.close();
    for (const connection of [redis, blocking]) connection.disconnect();
  });

  const user = { name: "key:default" };
  return {
    objects,
    reconciler,
    async create(): Promise<Session> {
      const made = sessionOf(await store.create({ tenant: "acme", namespace, tier: "small" }, user));
      queue.look(made.id);
      return made;
    },
    async stop(id: string): Promise<void> {
      await store.stop(id, "acme", "Stopped by the user", user);
      queue.look(id);
    },
    /** The session as soon as it is in the state. */
    async become(id: string, state: State): Promise<Session> {
      let now: Session | undefined;
      await until(async () => {
        now = await store.find(id);
        return now?.state === state;
      });
      if (now === undefined) throw new Error("no such session");
      return now;
    },
    find: (id: string) => store.find(id),
  };
}

/** The client, but pods that it makes run a shell with our command in place of the agent's programs. */
function inShell(core: CoreApi, agent: string): CoreApi {
  const replace = (container: V1Container): V1Container => {
    const { startupProbe: _, ...rest } = container;
    return { ...rest, command: ["sh", "-c", container.name === "agent" ? agent : waitForEnd] };
  };
  return Object.assign(Object.create(core) as CoreApi, {
    createNamespacedPod: (request: { namespace: string; body: V1Pod }) =>
      core.createNamespacedPod({
        ...request,
        body: {
          ...request.body,
          spec: { ...request.body.spec, containers: (request.body.spec?.containers ?? []).map(replace) },
        },
      }),
  });
}

/** The kinds of objects that the session has in the cluster. */
async function left(id: string): Promise<string[]> {
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

const getPod = (id: string) => admin.readNamespacedPod({ namespace, name: objectName(id) });

test("a session gets its secret, volume and pod, runs, and leaves nothing when it is stopped", async () => {
  const { create, become, stop } = await open();
  const { id } = await create();
  const running = await become(id, "running");
  expect(await left(id)).toEqual(["Secret", "PersistentVolumeClaim", "Pod"]);
  const pod = await getPod(id);
  expect(running).toMatchObject({ reason: null, podIp: pod.status?.podIP });

  await stop(id);
  const stopped = await become(id, "stopped");
  expect(stopped).toMatchObject({ reason: "Stopped by the user", podIp: null });
  expect(await left(id)).toEqual([]);
});

test("to make a session's objects again is harmless", async () => {
  const { create, become, objects } = await open();
  const session = await create();
  await become(session.id, "running");
  const before = await getPod(session.id);
  const results = await Promise.all([1, 2, 3].map(() => objects.create(session, acme)));
  expect(results).toEqual([{ result: "created" }, { result: "created" }, { result: "created" }]);
  expect((await getPod(session.id)).metadata?.uid).toBe(before.metadata?.uid);
});

test("a pod that is deleted behind our back fails its session, says why, and leaves nothing", async () => {
  const { create, become } = await open();
  const { id } = await create();
  await become(id, "running");
  await admin.deleteNamespacedPod({ namespace, name: objectName(id), gracePeriodSeconds: 0 });
  expect((await become(id, "failed")).reason).toBe(
    "The session's pod was deleted by somebody or something outside Berth",
  );
  expect(await left(id)).toEqual([]);
});

test("an owner that is deleted behind our back takes all with it, and the session fails", async () => {
  const { create, become } = await open();
  const { id } = await create();
  await become(id, "running");
  await admin.deleteNamespacedSecret({ namespace, name: objectName(id) });
  await become(id, "failed");
  expect(await left(id)).toEqual([]);
});

test("an agent that exits with an error fails its session; one that exits well stops it", async () => {
  const failing = await open({ agent: "exit 3" });
  const bad = await failing.create();
  expect((await failing.become(bad.id, "failed")).reason).toBe("The agent exited with code 3");
  const finishing = await open({ agent: "exit 0" });
  const good = await finishing.create();
  expect((await finishing.become(good.id, "stopped")).reason).toBe("The agent exited");
  expect([...(await left(bad.id)), ...(await left(good.id))]).toEqual([]);
});

test("an image that can't be pulled is told while the session still tries; it can be stopped", async () => {
  const { create, become, find, stop } = await open({ image: "127.0.0.1:5000/berth/none:none" });
  const { id } = await create();
  await until(async () => (await find(id))?.reason?.startsWith("The session's image can't be pulled") === true);
  expect((await find(id))?.state).toBe("starting");
  await stop(id);
  await become(id, "stopped");
  expect(await left(id)).toEqual([]);
});

test("without room in the quota a session waits, says so, and starts when there is room", async () => {
  const { create, become, find, stop } = await open();
  const first = await create();
  await become(first.id, "running");
  const used = (await admin.listNamespacedPod({ namespace })).items.length;
  const quota = { metadata: { name: "room" }, spec: { hard: { pods: String(used) } } };
  await admin.createNamespacedResourceQuota({ namespace, body: quota });
  onTestFinished(async () => {
    await admin.deleteNamespacedResourceQuota({ namespace, name: "room" });
  });
  await until(
    async () =>
      (await admin.readNamespacedResourceQuota({ namespace, name: "room" })).status?.used?.pods === String(used),
  );

  const second = await create();
  await until(
    async () => (await find(second.id))?.reason?.startsWith("Waiting for room in the tenant's quota") === true,
  );
  expect(await find(second.id)).toMatchObject({
    state: "queued",
    reason: expect.stringContaining("requested: pods=1"),
  });

  await stop(first.id);
  await become(second.id, "running");
  await stop(second.id);
  await become(second.id, "stopped");
});

test("what a stuck worker makes after a session's end is removed at the next look", async () => {
  const { create, become, stop, objects, reconciler } = await open();
  const session = await create();
  await become(session.id, "running");
  await stop(session.id);
  await become(session.id, "stopped");
  expect(await objects.create(session, acme)).toEqual({ result: "created" });
  await until(async () => {
    await reconciler.reconcile(session.id);
    return (await left(session.id)).length === 0;
  });
});
