/**
 * An API process and a worker process on this machine, whose sessions' pods run on the fake nodes. The tenants' namespaces
 * have a ResourceQuota, and the fake nodes have an image puller, both as in a real stack: each object with a quota costs the
 * Kubernetes API server more, and the worker counts the nodes with a ready image puller.
 */
import type { ChildProcess } from "node:child_process";
import { until } from "@berth/testing/until.ts";
import { AppsV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { machine } from "../../machine/machine.ts";
import { fakeNodeCount, fakeNodes, startFakeNodes } from "./fake-nodes.ts";
import { type Runtime, startRuntime } from "./runtime.ts";

/** The namespace of the leader's Lease and of the image puller. */
const platform = "berth-bench";
const tenants = ["bench", "neighbour"] as const;
export const namespaceOf = (tenant: (typeof tenants)[number]) => `tenant-${tenant}`;

const plenty = "100k";
const quota = { requestsCpu: plenty, limitsCpu: plenty, requestsMemory: "1000Ti", limitsMemory: "1000Ti" };

export interface Fleet {
  runtime: Runtime;
  config: KubeConfig;
  core: CoreV1Api;
  api: ChildProcess;
  worker: ChildProcess;
  /** Ends the processes, and removes all pods, namespaces and nodes. */
  stop: () => Promise<void>;
}

export interface FleetOptions {
  apiPort: number;
  workerPort: number;
  /** Changes to the environment of the API and of the worker. Default: none. */
  changes?: Record<string, string>;
  /** The pods with this label never become ready, for example `app=a`. Default: none. */
  hanging?: string;
}

/** Starts the processes and the nodes, and waits until the image puller is ready on all fake nodes. */
export async function startFleet({ apiPort, workerPort, changes = {}, hanging }: FleetOptions): Promise<Fleet> {
  const config = new KubeConfig();
  config.loadFromFile(machine.kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  const own = {
    runtimeClassName: fakeNodes,
    maxSessions: 10_000,
    quota: { ...quota, pods: plenty, storage: "1000Ti" },
  };
  const runtime = await startRuntime(own, own);
  const removeNodes = await startFakeNodes(config, hanging);
  const stop = async () => {
    await runtime.stop();
    const namespaces = [platform, ...tenants.map(namespaceOf)];
    for (const name of namespaces) await core.deleteNamespace({ name }).catch(() => {});
    // KWOK must delete the pods of its nodes, because no kubelet does so.
    for (const namespace of namespaces) await podsGone(core, namespace, hanging);
    await removeNodes();
  };
  try {
    await core.createNamespace({ body: { metadata: { name: platform } } });
    await addPuller(config);
    for (const namespace of tenants.map(namespaceOf)) await addNamespace(core, namespace);
    const env = { LEASE_NAMESPACE: platform, ...changes };
    const api = await runtime.start("api", apiPort, env);
    const worker = await runtime.start("worker", workerPort, env);
    return { runtime, config, core, api, worker, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Creates a tenant's namespace with the objects that the sessions' pods need. */
async function addNamespace(core: CoreV1Api, namespace: string): Promise<void> {
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name: "agent-runner" } } });
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "agent-config" }, data: {} } });
  const hard = {
    "requests.cpu": quota.requestsCpu,
    "limits.cpu": quota.limitsCpu,
    "requests.memory": quota.requestsMemory,
    "limits.memory": quota.limitsMemory,
    pods: plenty,
    "count/secrets": plenty,
  };
  await core.createNamespacedResourceQuota({ namespace, body: { metadata: { name: "quota" }, spec: { hard } } });
}

/** Creates the image puller's DaemonSet on the fake nodes, with the labels by which the worker finds the pods. */
async function addPuller(config: KubeConfig): Promise<void> {
  const labels = { "app.kubernetes.io/name": "image-puller" };
  const apps = config.makeApiClient(AppsV1Api);
  const spec = {
    nodeSelector: { [fakeNodes]: "" },
    tolerations: [{ operator: "Exists" }],
    containers: [{ name: "image-1", image: "agent" }],
  };
  await apps.createNamespacedDaemonSet({
    namespace: platform,
    body: {
      metadata: { name: "image-puller" },
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    },
  });
  await until(
    "the image puller is ready",
    120,
    async () => (await apps.readNamespacedDaemonSet({ namespace: platform, name: "image-puller" })).status?.numberReady,
    (ready) => ready === fakeNodeCount,
  );
}

/**
 * Waits until the namespace has no pods. Removes the pods that are being deleted and have the label `hanging`, as a kubelet
 * would do it.
 */
export async function podsGone(core: CoreV1Api, namespace: string, hanging?: string): Promise<void> {
  await until(
    `no pods in ${namespace}`,
    600,
    async () => {
      const { items } = await core.listNamespacedPod({ namespace });
      const left =
        hanging === undefined ? [] : (await core.listNamespacedPod({ namespace, labelSelector: hanging })).items;
      for (const { metadata } of left) {
        if (metadata?.deletionTimestamp === undefined || metadata.name === undefined) continue;
        await core.deleteNamespacedPod({ namespace, name: metadata.name, gracePeriodSeconds: 0 }).catch(() => {});
      }
      return items.length;
    },
    (count) => count === 0,
  );
}

/**
 * Calls `work` with each number from 0 to `count` - 1, at most 16 calls at the same time. Returns the results in this order.
 */
export async function inParallel<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const client = async () => {
    for (let index = next++; index < count; index = next++) results[index] = await work(index);
  };
  await Promise.all(Array.from({ length: 16 }, client));
  return results;
}
