/**
 * Measures the memory of an API process and a worker process on this machine, first without a session and then with 1,000
 * running sessions. The sessions' pods run on nodes that KWOK simulates.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "@berth/testing/until.ts";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { machine } from "../../machine/machine.ts";
import { fakeNodes, startFakeNodes } from "./fake-nodes.ts";
import { report } from "./report.ts";
import { call, memoryOf, startRuntime } from "./runtime.ts";

const { kubeconfig } = machine;

const sessions = 1_000;
const [apiPort, workerPort] = [23_020, 23_030];
const namespace = "tenant-bench";
const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const core = config.makeApiClient(CoreV1Api);

const plenty = "100000";
const runtime = await startRuntime({
  namespace,
  runtimeClassName: fakeNodes,
  maxSessions: sessions,
  quota: {
    requestsCpu: plenty,
    limitsCpu: plenty,
    requestsMemory: "1000Ti",
    limitsMemory: "1000Ti",
    pods: plenty,
    storage: "1000Ti",
  },
});
const removeNodes = await startFakeNodes(config);
try {
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name: "agent-runner" } } });
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "agent-config" }, data: {} } });
  const changes = {
    LEASE_NAMESPACE: namespace,
    MAX_STARTING: `${sessions}`, // KWOK needs half a minute to start one pod, and no longer to start all
    NODE_OPTIONS: "--max-old-space-size=384", // the same as in the pods: 75 % of 512Mi
  };
  const api = await runtime.start("api", apiPort, changes);
  const worker = await runtime.start("worker", workerPort, changes);

  const reportMemory = async (count: number): Promise<void> => {
    await sleep(30_000); // time for a garbage collection and for a sweep of the worker
    report(`api-with-${count}-mib`, memoryOf(api), "-");
    report(`worker-with-${count}-mib`, memoryOf(worker), "-");
  };
  await reportMemory(0);
  for (let made = 0; made < sessions; made += 1) await call(apiPort, "POST", "/v1/sessions", { tier: "small" });
  for (let running = 0, reported = 0; running < sessions; ) {
    await sleep(2_000);
    const metrics = await (await fetch(`http://127.0.0.1:${workerPort}/metrics`)).text();
    running = Number(/^berth_sessions\{state="running"\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
    if (running >= reported + 100) console.error(`  ${running} of ${sessions} run`);
    reported = Math.max(reported, Math.floor(running / 100) * 100);
  }
  await reportMemory(sessions);
} finally {
  await runtime.stop();
  await core.deleteNamespace({ name: namespace }).catch(() => {});
  // KWOK must delete the pods of its nodes, because no kubelet does so.
  await until(
    "the sessions' pods are gone",
    600,
    async () => (await core.listNamespacedPod({ namespace })).items.length,
    (count) => count === 0,
  );
  await removeNodes();
}
