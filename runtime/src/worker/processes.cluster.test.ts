/** Processes that die during their work, or whose clock is wrong. Every test ends with the full audit. */
import { beforeAll, expect, test } from "vitest";
import { type State, states } from "../domain/states/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import { audit, useCluster } from "../testing/cluster.ts";
import { tenant } from "../testing/fixtures.ts";
import { type Member, openFleet } from "../testing/fleet.ts";
import { holdAfter } from "../testing/kubeFront.ts";
import { build } from "../testing/program.ts";

beforeAll(build);

const place = useCluster();
const { namespace } = place;

/**
 * This tenant uses the same namespace as acme, but its workspaces have no volumes. Volumes take most of the test's time,
 * so half of the sessions belong to this tenant.
 */
const globex: Tenant = {
  ...place.acme,
  name: "globex",
  keys: tenant("globex").keys,
  workspace: { ...place.acme.workspace, mode: "ephemeral" },
};
/** The tenant of a session. */
const tenantOf = (index: number) => (index % 2 === 0 ? "acme" : "globex");

/** A barrier at which calls wait until the test opens the barrier. */
function gate() {
  const { promise: opens, resolve: open } = Promise.withResolvers<void>();
  return { opens, open };
}

test("API and worker are killed in the middle of 50 starts, and of 50 stops", async () => {
  const count = 50;
  /**
   * How many sessions can start, or end, before a kill. The other sessions (the late ones) wait for the kill. So the kill
   * comes in the middle on any machine.
   */
  const early = 40;
  const { api, workers, ask, allBecome, someBecome, numberIn, database, front } = await openFleet(place, {
    workers: 2,
    tenants: [globex],
  });
  for (const process of [api, ...workers]) process.start();
  /** Kills the process once `when` has resolved, lets the late sessions through, and starts the process again. */
  const killed = async (
    process: Member | undefined,
    when: Promise<unknown>,
    letThrough: () => void,
    ...states: State[]
  ) => {
    await when;
    await process?.kill();
    expect(await numberIn(...states)).toBeLessThanOrEqual(early);
    letThrough();
    process?.start();
  };
  /**
   * Calls the API for each session: for the early ones all at once, for the late ones after `late`. Calls `tenAnswers`
   * as soon as ten calls are answered.
   */
  const askAll = async (
    late: Promise<void>,
    tenAnswers: () => void,
    request: (index: number) => ReturnType<typeof ask>,
  ) => {
    let answers = 0;
    return Promise.all(
      Array.from({ length: count }, async (_, index) => {
        if (index >= early) await late;
        const answer = await request(index);
        answers += 1;
        if (answers === 10) tenAnswers();
        return answer;
      }),
    );
  };

  const [someCreated, apiDied] = [gate(), gate()];
  const starts = holdAfter(front, "POST", early);
  const [created] = await Promise.all([
    askAll(apiDied.opens, someCreated.open, (index) =>
      ask("POST", "/v1/sessions", {
        body: { tier: "small" },
        headers: { "idempotency-key": `session-${index}` },
        tenant: tenantOf(index),
      }),
    ),
    killed(api, someCreated.opens, apiDied.open, ...states),
    killed(workers[0], someBecome(5, "running"), starts.go, "running"),
  ]);
  for (const { status } of created) expect([200, 201]).toContain(status);
  const ids = created.map(({ json }) => json.id as string);
  expect(new Set(ids).size).toBe(count);
  await someBecome(count, "running");
  expect(await audit(database, namespace)).toEqual([]);

  const [someDeleted, apiDiedAgain] = [gate(), gate()];
  const stops = holdAfter(front, "DELETE", early);
  const [deleted] = await Promise.all([
    askAll(apiDiedAgain.opens, someDeleted.open, (index) =>
      ask("DELETE", `/v1/sessions/${ids[index]}`, { tenant: tenantOf(index) }),
    ),
    killed(api, someDeleted.opens, apiDiedAgain.open, "stopping", "stopped"),
    killed(workers[1], someBecome(5, "stopped"), stops.go, "stopped"),
  ]);
  for (const { status } of deleted) expect([200, 202, 204]).toContain(status);
  await allBecome("stopped");
  expect(await audit(database, namespace)).toEqual([]);
});

/**
 * A preload for Node.js that moves the clock by this many minutes. Timers and the monotonic clock stay right, as on a real
 * machine whose clock is wrong.
 */
const clockOff = (minutes: number) => {
  const script = `const Real = Date; const off = ${minutes * 60_000};
    globalThis.Date = class Date extends Real {
      constructor(...given) { super(...(given.length > 0 ? given : [Real.now() + off])); }
      static now() { return Real.now() + off; }
    };`;
  return ["--import", `data:text/javascript,${encodeURIComponent(script)}`];
};

test("workers whose clocks are minutes off end no session early and delay none", async () => {
  const { api, workers, ask, allBecome, someBecome, database, front } = await openFleet(place, {
    workers: 2,
    tenants: [globex],
  });
  const [ahead, behind] = workers;
  // Every seventh call fails, so that reconciles are repeated too.
  let calls = 0;
  front.fault = ({ object }) => {
    calls += object === undefined ? 0 : 1;
    return object !== undefined && calls % 7 === 0 ? { status: 500 } : undefined;
  };
  api.start();
  ahead?.start(clockOff(60));
  behind?.start(clockOff(-60));
  // These limits are shorter than the clocks' error, and longer than the test's duration.
  const limits = { idleTimeoutSeconds: 3_000, maxLifetimeSeconds: 3_000 };
  const created = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const tenant = tenantOf(index);
      const { json } = await ask("POST", "/v1/sessions", { body: { tier: "small", ...limits }, tenant });
      return { id: json.id as string, tenant };
    }),
  );
  const ids = created.map(({ id }) => id);
  expect(new Set(ids).size).toBe(8);
  await allBecome("running");
  const persistent = ids.filter((_, index) => tenantOf(index) === "acme");
  for (const id of persistent) expect((await ask("POST", `/v1/sessions/${id}/suspend`)).status).toBeLessThan(300);
  await someBecome(4, "suspended");
  await ahead?.kill();
  for (const id of persistent) expect((await ask("POST", `/v1/sessions/${id}/resume`)).status).toBeLessThan(300);
  await allBecome("running");
  expect(await audit(database, namespace)).toEqual([]);

  for (const { id, tenant } of created) {
    expect((await ask("DELETE", `/v1/sessions/${id}`, { tenant })).status).toBeLessThan(300);
  }
  await allBecome("stopped");
  const causes = await database.selectFrom("sessions").select("cause").execute();
  expect(causes.map(({ cause }) => cause)).toEqual(ids.map(() => "user"));
  expect(await audit(database, namespace)).toEqual([]);
});
