/** Failures of the cluster itself while sessions run. Other tests use the cluster too, so these tests run alone. */
import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { until } from "@berth/testing/until.ts";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { admin, audit, getPod, openWorker, useCluster, useOwnStores } from "../testing/cluster.ts";
import { holdAfter, startKubeFront } from "../testing/kubeFront.ts";

const place = useOwnStores(useCluster());
const { namespace } = place;
const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

/** See tests/proofs/fault.ts. */
const fault = (what: "crash" | "freeze" | "thaw", daemon: string) =>
  promisify(execFile)(process.execPath, [join(root, "tests/proofs/fault.ts"), what, daemon]);

async function nodeIsReady(): Promise<boolean> {
  const { items } = await admin.listNode();
  return items.every(({ status }) => status?.conditions?.find(({ type }) => type === "Ready")?.status === "True");
}

/** The ids of the pods. A new pod with the same name has another id. */
const uidsOf = (ids: string[]) => Promise.all(ids.map(async (id) => (await getPod(namespace, id)).metadata?.uid));

test("the API server is killed and restarted in the middle of starts and stops", async () => {
  const front = await startKubeFront();
  onTestFinished(() => front.close());
  const worker = await openWorker(place, { maxStarting: 3, kubeConfig: front.config });
  const { create, stop, allBecome, someBecome, database } = worker;
  const starts = holdAfter(front, "POST", 4);
  const sessions = [];
  for (let count = 0; count < 8; count += 1) sessions.push(await create());
  await someBecome(2, "running");
  await fault("crash", "kube-apiserver");
  starts.go();
  await allBecome("running");
  expect(await audit(database, namespace)).toEqual([]);

  const stops = holdAfter(front, "DELETE", 4);
  await Promise.all(sessions.map(({ id }) => stop(id)));
  await someBecome(2, "stopped");
  await fault("crash", "kube-apiserver");
  stops.go();
  await allBecome("stopped");
  expect(await audit(database, namespace)).toEqual([]);
});

/** Also runs after a failed test, because a stopped kubelet would end everybody's pods. */
afterAll(() => fault("thaw", "kubelet"));

test("the kubelet stops for a minute: running sessions continue, others start and stop when it is back", async () => {
  const { create, stop, suspend, become, find, allBecome, sweeps, database } = await openWorker(place);
  const [one, two, stopped, suspended] = [await create(), await create(), await create(), await create()];
  await allBecome("running");
  const before = await uidsOf([one.id, two.id]);

  onTestFinished(async () => {
    await fault("thaw", "kubelet");
    await until("the node is ready", 120, nodeIsReady);
  });
  await fault("freeze", "kubelet");
  const late = await create();
  await stop(stopped.id);
  await suspend(suspended.id);
  await until("the node is not ready", 120, nodeIsReady, (ready) => !ready);
  await sweeps(10); // a worker that took the node for lost, because it is not ready, would have acted by now
  expect((await find(one.id))?.state).toBe("running");
  expect((await find(late.id))?.state).toBe("starting");
  expect((await find(stopped.id))?.state).toBe("stopping");
  expect((await find(suspended.id))?.state).toBe("suspending");

  await fault("thaw", "kubelet");
  await become(late.id, "running");
  await become(stopped.id, "stopped");
  await become(suspended.id, "suspended");
  expect(await uidsOf([one.id, two.id])).toEqual(before);
  expect(await audit(database, namespace)).toEqual([]);
  for (const { id } of [one, two, late, suspended]) await stop(id);
  await allBecome("stopped");
  expect(await audit(database, namespace)).toEqual([]);
});
