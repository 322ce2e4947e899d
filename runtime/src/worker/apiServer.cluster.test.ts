/**
 * Failures of the Kubernetes API server: their effect on a session and on the watch. The pods are real, and kubeFront.ts
 * makes calls fail.
 */
import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import { objectName } from "../cluster/names.ts";
import { admin, audit, openWorker, useCluster } from "../testing/cluster.ts";
import { type Call, type Fault, startKubeFront } from "../testing/kubeFront.ts";

const place = useCluster();
const { namespace } = place;

async function openFront() {
  const front = await startKubeFront();
  onTestFinished(() => front.close());
  return front;
}

const forbidden = (message: string): Fault => ({ status: 403, reason: "Forbidden", message });

interface BadDay {
  name: string;
  fault: Fault;
  /** Default: all calls for the session. */
  method?: "POST";
  /** The session's reason while the fault lasts; undefined: any reason is right. */
  reason?: RegExp;
}

const badDays: BadDay[] = [
  {
    name: "409: two count against the quota at the same time",
    fault: { status: 409, reason: "Conflict", message: "the object has been modified" },
    method: "POST",
  },
  {
    name: "403: the quota is used up",
    fault: forbidden("pods is forbidden: exceeded quota: tenant, requested: pods=1, used: pods=50, limited: pods=50"),
    method: "POST",
    reason: /^Waiting for room in the tenant's quota \(requested: pods=1/,
  },
  {
    name: "403: the right is missing",
    fault: forbidden('secrets is forbidden: User "worker" cannot create resource "secrets" in API group ""'),
    method: "POST",
    reason: /^Waiting for the platform's rights in the tenant's namespace/,
  },
  {
    name: "429 with Retry-After",
    fault: { status: 429, reason: "TooManyRequests", headers: { "retry-after": "1" } },
    method: "POST",
    reason: /^The cluster is busy/,
  },
  { name: "500", fault: { status: 500, reason: "InternalError" }, method: "POST", reason: /a fault \(500\)/ },
  { name: "503", fault: { status: 503, reason: "ServiceUnavailable" } },
  { name: "a call that hangs", fault: "hang", method: "POST", reason: /^The cluster does not answer/ },
  { name: "a connection that is cut", fault: "cut" },
  { name: "an answer that is lost", fault: "lose the answer" },
];

test("each kind of refusal, and each kind of missing answer, costs a session time and nothing else", async () => {
  const front = await openFront();
  const { create, stop, become, allBecome, database } = await openWorker(place, {
    kubeConfig: front.config,
    kubeTimeoutMs: 3_000, // for the call that hangs
  });
  /** The bad day of each session, by the name of the session's objects. A session's first call takes the next bad day. */
  const days = new Map<string, BadDay & { left: number }>();
  const have = (times: number) => {
    for (const [name, day] of days) days.set(name, { ...day, left: day.fault === "hang" ? 1 : times });
  };
  front.fault = ({ object = "", method }: Call) => {
    const next = badDays[days.size];
    if (!days.has(object) && object !== "" && next !== undefined && object !== "berth-worker") {
      days.set(object, { ...next, left: next.fault === "hang" ? 1 : 3 });
    }
    const day = days.get(object);
    if (day === undefined || day.left === 0 || (day.method ?? method) !== method) return undefined;
    day.left -= 1;
    return day.fault;
  };

  // A session shows a reason only until it gets the next one, so a trigger keeps all reasons.
  await sql`
    create table shown (session_id uuid, reason text);
    create function keep() returns trigger language plpgsql as
      $$ begin insert into shown values (new.id, new.reason); return new; end $$;
    create trigger keep before update on sessions for each row when (new.reason is distinct from old.reason)
      execute function keep()`.execute(database);

  const sessions = [];
  for (const _ of badDays) sessions.push(await create());
  for (const { id } of sessions) await become(id, "running");
  expect(await audit(database, namespace)).toEqual([]);
  for (const { id } of sessions) {
    const day = days.get(objectName(id));
    expect(day).toMatchObject({ left: 0 });
    const { rows } = await sql<{ reason: string | null }>`select reason from shown where session_id = ${id}`.execute(
      database,
    );
    if (day?.reason !== undefined) {
      expect(rows.map(({ reason }) => reason ?? "")).toContainEqual(expect.stringMatching(day.reason));
    }
  }

  // Now the same faults hit the ends of the sessions. The end of a session sends no POST, so the faults now apply to every
  // call.
  for (const day of days.values()) delete day.method;
  have(3);
  for (const { id } of sessions) await stop(id);
  await allBecome("stopped");
  expect([...days.values()].filter(({ left }) => left > 0)).toEqual([]);
  expect(await audit(database, namespace)).toEqual([]);
});

test("a watch that is cut, refused or silent is restarted, and reports the next pod that is deleted", async () => {
  const front = await openFront();
  const { create, become, allBecome, sweep } = await openWorker(place, {
    kubeConfig: front.config,
    watch: { backoffLimitMs: 500, silenceMs: 3_000 },
  });
  const faults: Fault[] = [
    "cut",
    { status: 410, reason: "Expired" },
    { status: 429, reason: "TooManyRequests", headers: { "retry-after": "1" } },
    { status: 500, reason: "InternalError" },
    "silence",
  ];
  const sessions = [];
  for (const _ of faults) sessions.push(await create({ workspaceMode: "ephemeral" }));
  await allBecome("running");
  await sweep.onApplicationShutdown(); // so that only the watch can report a pod

  for (const [index, fault] of faults.entries()) {
    let met = false;
    front.fault = ({ isWatch, object, path }) => {
      const follows = isWatch || (object === undefined && path.endsWith("/pods") && fault !== "silence");
      if (!follows || met) return undefined;
      met = true;
      return fault;
    };
    front.cutWatches();
    await until(`the watch meets ${JSON.stringify(fault)}`, 60, () => met);
    // A silent watch counts as open.
    await until("one watch is open", 60, front.watches, (open) => open === 1);
    const { id = "" } = sessions[index] ?? {};
    await admin.deleteNamespacedPod({ namespace, name: objectName(id), gracePeriodSeconds: 0 });
    await become(id, "failed");
  }
});
