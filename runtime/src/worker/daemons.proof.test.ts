/** The cluster itself fails under running sessions. It serves others too, so these run when nothing else does. */
import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CoreV1Api } from "@kubernetes/client-node";
import { expect, onTestFinished, test } from "vitest";
import { loadKubeConfig } from "../pods/kubernetes.ts";
import { audit, getPod, openWorker, useCluster } from "../testing/cluster.ts";
import { until } from "../testing/fixtures.ts";

const place = useCluster();
const { namespace } = place;
const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

/** See local/cluster/fault.ts. */
const fault = (what: "crash" | "freeze" | "thaw", daemon: string) =>
  promisify(execFile)(process.execPath, [join(root, "local/cluster/fault.ts"), what, daemon]);

async function nodeIsReady(): Promise<boolean> {
  const { items } = await loadKubeConfig().makeApiClient(CoreV1Api).listNode();
  return items.every(({ status }) => status?.conditions?.find(({ type }) => type === "Ready")?.status === "True");
}

/** The pods' own names for themselves: another pod of the same name has another. */
const uidsOf = (ids: string[]) => Promise.all(ids.map(async (id) => (await getPod(namespace, id)).metadata?.uid));

test("the API server is killed and restarted in the middle of starts and stops", async () => {
  const { create, stop, allBecome, numberIn, database } = await openWorker(place, { maxStarting: 3 });
  const sessions = [];
  for (let count = 0; count < 8; count += 1) sessions.push(await create());
  await until(async () => (await numberIn("running")) >= 2);
  await fault("crash", "kube-apiserver");
  await allBecome("running");
  expect(await audit(database, namespace)).toEqual([]);

  await Promise.all(sessions.map(({ id }) => stop(id)));
  await until(async () => (await numberIn("stopped")) >= 2);
  await fault("crash", "kube-apiserver");
  await allBecome("stopped");
  expect(await audit(database, namespace)).toEqual([]);
});

test("the kubelet stands still for a minute: sessions that run go on, others start and stop when it is back", async () => {
  const { create, stop, suspend, become, find, allBecome, database } = await openWorker(place);
  const [one, two, stopped, suspended] = [await create(), await create(), await create(), await create()];
  await allBecome("running");
  const before = await uidsOf([one.id, two.id]);

  await fault("freeze", "kubelet");
  onTestFinished(async () => {
    await fault("thaw", "kubelet");
    await until(nodeIsReady);
  });
  const late = await create();
  await stop(stopped.id);
  await suspend(suspended.id);
  await until(async () => !(await nodeIsReady()));
  await sleep(10_000); // for whoever takes a node that isn't ready for a node that is gone
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
