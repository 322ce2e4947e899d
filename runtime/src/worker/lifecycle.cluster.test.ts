/** The life of a session on a real cluster, with a complete worker. Other tests cover the desktop end to end. */

import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import { expect, onTestFinished, test, vi } from "vitest";
import { machine } from "../../../machine/machine.ts";
import { objectName } from "../cluster/names.ts";
import { admin, audit, execIn, getPod, left, openWorker, useCluster } from "../testing/cluster.ts";
import { session } from "../testing/fixtures.ts";

const place = useCluster();
const { namespace } = place;
const all = ["Secret", "PersistentVolumeClaim", "Pod"];

test("a session gets its secret, volume and pod, runs, and leaves no object when it is stopped", async () => {
  const { create, become, stop, database } = await openWorker(place);
  const { id } = await create();
  const running = await become(id, "running");
  expect(await left(namespace, id)).toEqual(all);
  const pod = await getPod(namespace, id);
  expect(running).toMatchObject({ reason: null, podIp: pod.status?.podIP, startedAt: expect.any(Date) });

  await stop(id);
  const stopped = await become(id, "stopped");
  expect(stopped).toMatchObject({
    reason: "Stopped by the user",
    cause: "user",
    podIp: null,
    endedAt: expect.any(Date),
  });
  expect(await left(namespace, id)).toEqual([]);
  expect(await audit(database, namespace)).toEqual([]);
});

test("creating a session's objects again is harmless", async () => {
  const { create, become, objects, acme, stop } = await openWorker(place);
  const session = await create();
  await become(session.id, "running");
  const before = await getPod(namespace, session.id);
  const results = await Promise.all([1, 2, 3].map(() => objects.create(session, acme)));
  expect(results).toEqual([{ result: "created" }, { result: "created" }, { result: "created" }]);
  expect((await getPod(namespace, session.id)).metadata?.uid).toBe(before.metadata?.uid);
  await stop(session.id);
  await become(session.id, "stopped");
});

test("if somebody deletes a pod, its session fails with a reason and leaves no object", async () => {
  const { create, become } = await openWorker(place);
  const { id } = await create();
  await become(id, "running");
  await admin.deleteNamespacedPod({ namespace, name: objectName(id), gracePeriodSeconds: 0 });
  expect(await become(id, "failed")).toMatchObject({
    cause: "pod-lost",
    reason: "The session's pod was deleted by somebody or something outside Berth",
  });
  expect(await left(namespace, id)).toEqual([]);
});

test("if somebody deletes an owner, all its objects are deleted, and the session fails", async () => {
  const { create, become } = await openWorker(place);
  const { id } = await create();
  await become(id, "running");
  await admin.deleteNamespacedSecret({ namespace, name: objectName(id) });
  await become(id, "failed");
  expect(await left(namespace, id)).toEqual([]);
});

test("if a proxy dies, only the proxy is restarted, and the session continues", async () => {
  const { create, become, find, stop } = await openWorker(place);
  const { id } = await create({ workspaceMode: "ephemeral" });
  await become(id, "running");
  const agentStarted = async () =>
    (await getPod(namespace, id)).status?.containerStatuses?.[0]?.state?.running?.startedAt;
  const before = await agentStarted();
  await execIn(namespace, id, "vnc-proxy", ["sh", "-c", "kill 1"]);
  await until(
    "the proxy runs again",
    60,
    async () => (await getPod(namespace, id)).status?.initContainerStatuses?.[0],
    (proxy) => proxy?.restartCount === 1 && proxy.state?.running !== undefined,
  );
  expect(await agentStarted()).toEqual(before);
  expect((await find(id))?.state).toBe("running");
  await stop(id);
  await become(id, "stopped");
});

test("an agent that exits with an error fails its session", async () => {
  const { create, become } = await openWorker(place, { agent: "exit 3" });
  const { id } = await create({ workspaceMode: "ephemeral" });
  expect(await become(id, "failed")).toMatchObject({ reason: "The agent exited with code 3", cause: "agent-error" });
  expect(await left(namespace, id)).toEqual([]);
});

test("an agent that exits with 0 stops its session", async () => {
  const { create, become } = await openWorker(place, { agent: "exit 0" });
  const { id } = await create({ workspaceMode: "ephemeral" });
  expect(await become(id, "stopped")).toMatchObject({ reason: "The agent exited", cause: "agent-exit" });
  expect(await left(namespace, id)).toEqual([]);
});

test("the sweep finds a running session whose agent has ended if the trigger of its reconcile is lost", async () => {
  const { create, become, queue } = await openWorker(place);
  const { id } = await create({ workspaceMode: "ephemeral" });
  await become(id, "running");
  vi.spyOn(queue, "trigger").mockImplementation(() => {});
  await execIn(namespace, id, "agent", ["sh", "-c", "kill 1"]);
  expect(await become(id, "stopped")).toMatchObject({ reason: "The agent exited", cause: "agent-exit" });
});

test("an image that can't be pulled is reported while the session still tries; the session can be stopped", async () => {
  const { create, become, untilReason, stop } = await openWorker(place, {
    image: `${machine.registry}/berth/none:none`,
  });
  const { id } = await create({ workspaceMode: "ephemeral" });
  expect(await untilReason(id, /^The session's image can't be pulled/)).toMatchObject({
    state: "starting",
    stalled: true,
  });
  await stop(id);
  await become(id, "stopped");
  expect(await left(namespace, id)).toEqual([]);
});

test("if the quota in the cluster is full, a session goes back into the queue with a reason, and starts when there is room", async () => {
  const { create, become, untilReason, stop } = await openWorker(place);
  const first = await create({ workspaceMode: "ephemeral" });
  await become(first.id, "running");
  const used = (await admin.listNamespacedPod({ namespace })).items.length;
  const quota = { metadata: { name: "room" }, spec: { hard: { pods: String(used) } } };
  await admin.createNamespacedResourceQuota({ namespace, body: quota });
  onTestFinished(async () => {
    await admin.deleteNamespacedResourceQuota({ namespace, name: "room" });
  });
  await until(
    `the quota counts ${used} pods`,
    60,
    () => admin.readNamespacedResourceQuota({ namespace, name: "room" }),
    ({ status }) => status?.used?.pods === String(used),
  );

  const second = await create({ workspaceMode: "ephemeral" });
  expect(await untilReason(second.id, /^Waiting for room in the tenant's quota/)).toMatchObject({
    state: "queued",
    reason: expect.stringContaining("requested: pods=1"),
  });

  await stop(first.id);
  await become(second.id, "running");
  await stop(second.id);
  await become(second.id, "stopped");
});

test("the sweep removes objects that a stuck worker creates after a session's end", async () => {
  const { create, become, stop, vanish, objects, acme } = await openWorker(place);
  const session = await create();
  await become(session.id, "running");
  await stop(session.id);
  await become(session.id, "stopped");
  expect(await objects.create(session, acme)).toEqual({ result: "created" });
  await vanish(session.id);
});

test("objects that no row stands for are removed by the leader's sweep when it has seen them for long enough", async () => {
  const orphanGraceMs = 600_000;
  let now = 0;
  const { acme, objects, leader, sweep, sweeps, vanish } = await openWorker(place, {
    orphanGraceMs,
    sweepClock: () => now,
    sweepMs: 200,
  });
  const stray = session({ namespace });
  expect(await objects.create(stray, acme)).toEqual({ result: "created" });
  await sweeps(3);
  expect(sweep.findings()).toMatchObject({ pod: 1, claim: 1 });
  now += orphanGraceMs - 1;
  await sweeps(3);
  expect(await left(namespace, stray.id)).toEqual(all);
  now += 1;
  await vanish(stray.id);
  expect(leader.isLeader()).toBe(true);
});

test("objects that are older than the database stay, because another database may know them", async () => {
  const { acme, objects, database, sweep, sweeps, vanish } = await openWorker(place, {
    orphanGraceMs: 0,
    sweepMs: 200,
  });
  const migratedIn = (hours: number) =>
    sql`update kysely_migration set timestamp = (now() + ${hours} * interval '1 hour')::text`.execute(database);
  await migratedIn(1);
  const stray = session({ namespace });
  expect(await objects.create(stray, acme)).toEqual({ result: "created" });
  await sweeps(3);
  expect(sweep.findings()).toMatchObject({ pod: 1, claim: 1 });
  expect(await left(namespace, stray.id)).toEqual(all);
  await migratedIn(-1);
  await vanish(stray.id);
});

test("a worker of another version or config does not start a warm session", async () => {
  const { acme, objects } = await openWorker(place);
  const warmSession = session({ namespace, warm: "another" });
  expect(await objects.create(warmSession, acme)).toMatchObject({ result: "wait" });
  expect(await left(namespace, warmSession.id)).toEqual([]);
});
