/**
 * Ends of sessions on a real cluster. The other causes in docs/sessions.md, "Ends", are tested in
 * lifecycle.cluster.test.ts (user, agent-exit, agent-error, pod-lost), suspend.cluster.test.ts (idle, max-lifetime,
 * tenant-removed, node-drain, workspace-lost) and evicted.proof.test.ts (evicted).
 */

import { expect, test } from "vitest";
import { machine } from "../../../machine/machine.ts";
import { withoutTimes } from "../cluster/logTail.ts";
import { left, openWorker, useCluster } from "../testing/cluster.ts";
import { pass } from "../testing/pass.ts";
import { waitForEnd } from "../testing/shrink.ts";

const place = useCluster();
const { namespace, acme } = place;
const ephemeral = { workspaceMode: "ephemeral" } as const;

test("the reason of a failed agent quotes its last line, and its log exists after its pod is gone", async () => {
  const agent = "exec >&2; echo Reading; echo 'agent.py: no such file'; exit 2";
  const { create, become, records } = await openWorker(place, { agent });
  const { id } = await create(ephemeral);
  expect(await become(id, "failed")).toMatchObject({
    cause: "agent-error",
    reason: "The agent exited with code 2: agent.py: no such file",
  });
  expect(await left(namespace, id)).toEqual([]);
  expect(withoutTimes((await records.logs.of(id)) ?? "")).toBe("Reading\nagent.py: no such file\n");
});

test("a session that is stopped leaves its log", async () => {
  const { create, become, stop, records } = await openWorker(place, { agent: `echo Hello; ${waitForEnd}` });
  const { id } = await create(ephemeral);
  await become(id, "running");
  await stop(id);
  await become(id, "stopped");
  expect(withoutTimes((await records.logs.of(id)) ?? "")).toBe("Hello\n");
});

test("an agent that takes more memory than its tier has ends as out of memory", async () => {
  const { create, become } = await openWorker(place, { agent: "exec tail /dev/zero" });
  const { id } = await create(ephemeral);
  expect(await become(id, "failed")).toMatchObject({
    cause: "out-of-memory",
    reason: "The agent ran out of memory; a larger tier has more",
  });
  expect(await left(namespace, id)).toEqual([]);
});

test.each([
  ["as soon as the file is read", true],
  ["by the next sweep at the latest", false],
])("a tenant that may have no sessions any more loses those it has, %s", async (_, isTold) => {
  const { create, become, tenants, changed, sweep, sweeps } = await openWorker(place);
  const { id } = await create(ephemeral);
  await become(id, "running");
  if (isTold)
    await sweep.onApplicationShutdown(); // so that only the news of the file can end the session
  else await sweeps(1);
  tenants.set(acme.name, { ...acme, maxSessions: 0 });
  if (isTold) changed();
  expect(await become(id, "stopped")).toMatchObject({
    cause: "quota-removed",
    reason: "The tenant may not have sessions any more",
  });
  expect(await left(namespace, id)).toEqual([]);
});

test("a session that gets no node in time fails and says what it waited for", async () => {
  const workspace = { ...acme.workspace, storageClass: "berth-test-none" };
  const { create, become, untilReason, late } = await openLate({ tenant: { workspace } });
  const { id } = await create();
  await untilReason(id, /^Waiting for a node with room/);
  await late(id, startTimeoutSeconds);
  expect(await become(id, "failed")).toMatchObject({
    cause: "start-timeout",
    reason: expect.stringMatching(
      /^The session did not start within 300 s\. Waiting for a node with room: .*PersistentVolumeClaim/,
    ),
  });
  expect(await left(namespace, id)).toEqual([]);
});

test("a session whose image can't be pulled is rejected, sooner than one that only needs time", async () => {
  const { create, become, untilReason, late } = await openLate({ image: `${machine.registry}/berth/none:none` });
  const { id } = await create(ephemeral);
  await untilReason(id, /^The session's image can't be pulled/);
  await late(id, 60);
  expect(await become(id, "failed")).toMatchObject({
    cause: "rejected",
    reason: expect.stringMatching(/^The session did not start within 60 s\. The session's image can't be pulled/),
  });
  expect(await left(namespace, id)).toEqual([]);
});

const startTimeoutSeconds = 300;

/** A worker, and the function `late`: after it, a session's start has lasted at least `seconds` plus one. */
async function openLate(setup: Parameters<typeof openWorker>[1]) {
  const worker = await openWorker(place, { ...setup, startTimeoutSeconds });
  const late = async (id: string, seconds: number) => {
    await pass(worker.database, seconds + 1);
    worker.queue.trigger(id);
  };
  return { ...worker, late };
}
