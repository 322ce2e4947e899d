/** What keeps a session's workspace and what deletes it: suspending, drains, retention, time limits. */
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { objectName } from "../cluster/names.ts";
import { admin, audit, getPod, left, openWorker, useCluster } from "../testing/cluster.ts";
import { silent } from "../testing/fixtures.ts";
import { pass } from "../testing/pass.ts";
import { waitForEnd } from "../testing/shrink.ts";
import { cleanUp } from "./cleanUp.ts";

const place = useCluster();
const { namespace } = place;

/** Records each start in the workspace and prints the recorded starts. */
const counts = `cd /home/agent/workspace; echo started >> starts; cat starts; ${waitForEnd}`;

/** Waits until the session's agent has found this many starts in its workspace. */
const startedTimes = (id: string, times: number) =>
  until(
    `session ${id} finds the traces of ${times} starts`,
    60,
    () => admin.readNamespacedPodLog({ namespace, name: objectName(id), container: "agent" }),
    (log) => log === "started\n".repeat(times),
  );

const evict = (id: string) =>
  admin.createNamespacedPodEviction({ namespace, name: objectName(id), body: { metadata: { name: objectName(id) } } });

test("a suspended session has a workspace but no pod, and has the same workspace after a resume", async () => {
  const { create, become, suspend, resume, stop, database } = await openWorker(place, { agent: counts });
  const { id } = await create();
  await become(id, "running");
  await suspend(id);
  await become(id, "suspended");
  expect(await left(namespace, id)).toEqual(["Secret", "PersistentVolumeClaim"]);
  expect(await audit(database, namespace)).toEqual([]);

  await resume(id);
  await become(id, "running");
  await startedTimes(id, 2);
  await suspend(id);
  await resume(id); // before the session's pod is gone
  await become(id, "running");
  await startedTimes(id, 3);
  await stop(id);
  await become(id, "stopped");
  expect(await left(namespace, id)).toEqual([]);
  expect(await audit(database, namespace)).toEqual([]);
});

test("a session resumes although its workspace is larger than a new one may be now", async () => {
  const { create, become, suspend, resume, stop } = await openWorker(place);
  const { id } = await create();
  await become(id, "running");
  await suspend(id);
  await become(id, "suspended");
  const metadata = { name: "smaller" };
  const limits = [{ type: "PersistentVolumeClaim", max: { storage: "32Mi" } }];
  await admin.createNamespacedLimitRange({ namespace, body: { metadata, spec: { limits } } });
  onTestFinished(async () => void (await admin.deleteNamespacedLimitRange({ namespace, ...metadata })));
  await resume(id);
  await become(id, "running");
  await stop(id);
  await become(id, "stopped");
});

test("a suspended session fails and leaves no object if somebody deletes its workspace", async () => {
  const { create, become, suspend } = await openWorker(place);
  const { id } = await create();
  await become(id, "running");
  await suspend(id);
  await become(id, "suspended");
  await admin.deleteNamespacedPersistentVolumeClaim({ namespace, name: objectName(id) });
  expect((await become(id, "failed")).cause).toBe("workspace-lost");
  expect(await left(namespace, id)).toEqual([]);
});

test("an ephemeral workspace is a folder of the pod: it has no volume claim, and the session can't be suspended", async () => {
  const { create, become, suspend, stop, database } = await openWorker(place);
  const { id } = await create({ workspaceMode: "ephemeral" });
  await become(id, "running");
  expect(await left(namespace, id)).toEqual(["Secret", "Pod"]);
  const volume = (await getPod(namespace, id)).spec?.volumes?.find(({ name }) => name === "workspace");
  expect(volume?.emptyDir?.sizeLimit).toBe("64Mi");
  expect((await suspend(id))?.refusal).toContain("ephemeral");
  await stop(id);
  await become(id, "stopped");
  expect(await audit(database, namespace)).toEqual([]);
});

test("a workspace is kept after the end for as long as the tenant wants, then cleaned up", async () => {
  const retentionSeconds = 600;
  const { create, become, stop, vanish, database, queue } = await openWorker(place, { tenant: { retentionSeconds } });
  const { id } = await create();
  await become(id, "running");
  await stop(id);
  expect((await become(id, "stopped")).workspaceUntil).toBeInstanceOf(Date);
  expect(await cleanUp(database, queue, silent, { logRetentionSeconds: 600 })).toBe(0);
  expect(await left(namespace, id)).toEqual(["Secret", "PersistentVolumeClaim"]);
  expect(await audit(database, namespace)).toEqual([]);
  await pass(database, retentionSeconds);
  expect(await cleanUp(database, queue, silent, { logRetentionSeconds: 600 })).toBe(1);
  await vanish(id);
  expect(await audit(database, namespace)).toEqual([]);
});

test("a session ends when it has been idle, or has run, for as long as it may", async () => {
  const { create, become, find, records, database } = await openWorker(place);
  const ephemeral = { workspaceMode: "ephemeral" } as const;
  const [idle, old] = [
    await create({ idleTimeoutSeconds: 600, ...ephemeral }),
    await create({ maxLifetimeSeconds: 700, ...ephemeral }),
  ];
  for (const { id } of [idle, old]) await become(id, "running");
  for (let times = 0; times < 2; times += 1) {
    await pass(database, 400);
    await records.commands.touch(idle.id);
  }
  // The sweep that ends `old` also checks `idle`, which has been running for longer than its idle time-out, but was
  // active meanwhile.
  expect((await become(old.id, "stopped")).cause).toBe("max-lifetime");
  expect((await find(idle.id))?.state).toBe("running");
  await pass(database, 601);
  expect((await become(idle.id, "stopped")).cause).toBe("idle");
});

test("closing a tenant ends its sessions, also the queued ones; a tenant that is only missing keeps them", async () => {
  const { create, become, find, tenants, closed, acme, sweeps } = await openWorker(place, {
    tenant: { maxSessions: 1 },
  });
  const { id } = await create({ workspaceMode: "ephemeral" });
  await become(id, "running");
  const waits = await create();
  tenants.delete(acme.name);
  await sweeps(2);
  expect([(await find(id))?.state, (await find(waits.id))?.state]).toEqual(["running", "queued"]);
  closed.add(acme.name);
  expect((await become(id, "stopped")).cause).toBe("tenant-removed");
  expect((await become(waits.id, "stopped")).cause).toBe("tenant-removed");
  expect(await left(namespace, id)).toEqual([]);
});

test("a drained node's session ends and says so", async () => {
  const { create, become } = await openWorker(place);
  const { id } = await create({ workspaceMode: "ephemeral" });
  await become(id, "running");
  await evict(id);
  expect(await become(id, "failed")).toMatchObject({
    cause: "node-drain",
    reason: expect.stringContaining("The session's node is being drained"),
  });
});

test("if the tenant wants it, a drained node's session starts again with its workspace", async () => {
  const { create, become, stop, find, database } = await openWorker(place, {
    agent: counts,
    tenant: { onDrain: "resume" },
  });
  const { id } = await create();
  await become(id, "running");
  const before = (await getPod(namespace, id)).metadata?.uid;
  await evict(id);
  await until(
    "the session does not run",
    60,
    () => find(id),
    (now) => now?.state !== "running",
  );
  await become(id, "running");
  expect((await getPod(namespace, id)).metadata?.uid).not.toBe(before);
  await startedTimes(id, 2);
  await stop(id);
  await become(id, "stopped");
  expect(await audit(database, namespace)).toEqual([]);
});
