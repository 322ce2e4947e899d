/** Processes that die in the middle of their work, or don't know what time it is. Every test ends with the full audit. */
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test, vi } from "vitest";
import { type State, states } from "../sessions/state.ts";
import { audit, useCluster } from "../testing/cluster.ts";
import { until } from "../testing/fixtures.ts";
import { type Member, openFleet } from "../testing/fleet.ts";
import { build } from "../testing/program.ts";

vi.setConfig({ testTimeout: 600_000 });
beforeAll(build, 600_000);

const place = useCluster();
const { namespace } = place;

test("API and worker are killed in the middle of 50 starts, and of 50 stops", async () => {
  const count = 50;
  const { api, workers, ask, allBecome, numberIn, database } = await openFleet(place, { workers: 2 });
  for (const process of [api, ...workers]) process.start();
  /** Kills the process as soon as some sessions, and before nearly all, are in one of the states, and starts it again. */
  const killed = async (process: Member | undefined, some: number, ...states: State[]) => {
    await until(async () => (await numberIn(...states)) >= some);
    await process?.kill();
    expect(await numberIn(...states)).toBeLessThan(count - 5);
    process?.start();
  };

  const [created] = await Promise.all([
    Promise.all(
      // One after the other, so that a kill that comes late is in their midst too.
      Array.from({ length: count }, async (_, index) => {
        await sleep(index * 200);
        return ask("POST", "/v1/sessions", { tier: "small" }, { "idempotency-key": `session-${index}` });
      }),
    ),
    killed(api, 10, ...states),
    killed(workers[0], 5, "running"),
  ]);
  for (const { status } of created) expect([200, 201]).toContain(status);
  const ids = created.map(({ json }) => json.id as string);
  expect(new Set(ids).size).toBe(count);
  await until(async () => (await numberIn("running")) === count);
  expect(await audit(database, namespace)).toEqual([]);

  const [deleted] = await Promise.all([
    Promise.all(ids.map((id, index) => sleep(index * 200).then(() => ask("DELETE", `/v1/sessions/${id}`)))),
    killed(api, 10, "stopping", "stopped"),
    killed(workers[1], 5, "stopped"),
  ]);
  for (const { status } of deleted) expect([200, 202, 204]).toContain(status);
  await allBecome("stopped");
  expect(await audit(database, namespace)).toEqual([]);
});

/** For Node: what its clock says is so many minutes off. Timers and the monotonic clock go right, as they do on real machines. */
const clockOff = (minutes: number) => {
  const script = `const Real = Date; const off = ${minutes * 60_000};
    globalThis.Date = class Date extends Real {
      constructor(...given) { super(...(given.length > 0 ? given : [Real.now() + off])); }
      static now() { return Real.now() + off; }
    };`;
  return ["--import", `data:text/javascript,${encodeURIComponent(script)}`];
};

test("workers whose clocks are minutes off end no session early and keep none waiting", async () => {
  const { api, workers, ask, allBecome, numberIn, database, front } = await openFleet(place, { workers: 2 });
  const [ahead, behind] = workers;
  // Every seventh call fails, so that looks are repeated too.
  let calls = 0;
  front.fault = ({ object }) => {
    calls += object === undefined ? 0 : 1;
    return object !== undefined && calls % 7 === 0 ? { status: 500 } : undefined;
  };
  api.start();
  ahead?.start(clockOff(10));
  behind?.start(clockOff(-10));
  // Less than the clocks are off, and more than the test takes.
  const limits = { idleTimeoutSeconds: 500, maxLifetimeSeconds: 500 };
  const created = await Promise.all(
    Array.from({ length: 8 }, () => ask("POST", "/v1/sessions", { tier: "small", ...limits })),
  );
  const ids = created.map(({ json }) => json.id as string);
  expect(new Set(ids).size).toBe(8);
  await allBecome("running");
  for (const id of ids.slice(0, 4)) expect((await ask("POST", `/v1/sessions/${id}/suspend`)).status).toBeLessThan(300);
  await until(async () => (await numberIn("suspended")) === 4);
  await ahead?.kill();
  for (const id of ids.slice(0, 4)) expect((await ask("POST", `/v1/sessions/${id}/resume`)).status).toBeLessThan(300);
  await allBecome("running");
  expect(await audit(database, namespace)).toEqual([]);

  for (const id of ids) expect((await ask("DELETE", `/v1/sessions/${id}`)).status).toBeLessThan(300);
  await allBecome("stopped");
  const causes = await database.selectFrom("sessions").select("cause").execute();
  expect(causes.map(({ cause }) => cause)).toEqual(ids.map(() => "user"));
  expect(await audit(database, namespace)).toEqual([]);
});
