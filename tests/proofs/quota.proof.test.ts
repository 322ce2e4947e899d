/**
 * A tenant with a quota of fifty sessions creates one more session. That session waits with a reason, blocks nobody else,
 * and starts when another session has ended.
 */
import { until } from "@berth/testing/until.ts";
import type { V1Container } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requestLittle } from "../bench/small-requests.ts";
import { call, cluster, keyOf, reaches, type Session } from "../berth.ts";
import { deploy } from "../pulumi.ts";
import { query, tenantsAreKnown } from "./platform.ts";
import { create, end, endAll, find, running, sessionsOf } from "./sessions.ts";

const limit = 50;

/** Returns the container with a shell in place of the session's program, so that fifty sessions fit on this machine. */
const shell = ({ startupProbe: _, ...container }: V1Container): V1Container => ({
  ...container,
  command: ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"],
  args: [],
  resources: { requests: { cpu: "1m", memory: "4Mi" }, limits: { cpu: "200m", memory: "64Mi" } },
});

const cleanUp = new AsyncDisposableStack();

beforeAll(async () => {
  cleanUp.defer(tenantsAreKnown); // otherwise the next sessions would still get this proof's workspaces
  await deploy(cleanUp, {
    change: ({ config }) => {
      // The proof counts pods, so all other limits are raised.
      const quota = { pods: limit, requestsCpu: 100, limitsCpu: 200, requestsMemory: "200Gi", limitsMemory: "400Gi" };
      for (const tenant of config["berth:tenants"])
        if (tenant.name === "acme") Object.assign(tenant, { quota, workspace: { size: "64Mi", mode: "ephemeral" } });
    },
  });
  await tenantsAreKnown();
  await endAll("acme"); // sessions of other tests would count against the quota
  cleanUp.defer(await requestLittle(cluster, "tenant-acme", shell));
  cleanUp.defer(() => endAll("acme"));
});

afterAll(() => cleanUp.disposeAsync());

const countOf = ([state, sessions = []]: [string, Session[] | undefined]) => `${sessions.length} ${state}`;

test(`of ${limit + 1} sessions ${limit} run; the last waits with a reason, starts when another ends, and slows no other tenant`, async () => {
  const began = performance.now();
  const made: Session[] = [];
  for (let number = 0; number < limit; number += 1) made.push(await create("acme"));
  const last = await create("acme");
  await until(
    `${limit} sessions run`,
    300,
    async () => Object.entries(Object.groupBy(await sessionsOf("acme"), ({ state }) => state)).map(countOf),
    (counts) => counts.includes(`${limit} running`),
  );
  const waits = (await sessionsOf("acme")).find(({ id }) => id === last.id);
  console.log(
    `  ${limit} run after ${Math.round((performance.now() - began) / 1_000)} s; the next is ${waits?.state}: "${waits?.reason}", position ${waits?.queuePosition}`,
  );
  expect(waits).toMatchObject({
    state: "queued",
    reason: expect.stringMatching(/quota|limit|sessions/i),
    queuePosition: 1,
  });

  // A session of another tenant does not wait behind the queued session.
  const other = performance.now();
  const stranger = await running("globex");
  console.log(`  another tenant's session runs after ${((performance.now() - other) / 1_000).toFixed(1)} s`);
  expect(await find("acme", last.id)).toMatchObject({ state: "queued" });
  await end("globex", stranger.id);

  await call(keyOf("acme"), "DELETE", `/v1/sessions/${made[0]?.id}`);
  await reaches(keyOf("acme"), last.id, "running");
  const active = await query(
    "select count(*) from sessions where tenant = 'acme' and state in ('starting', 'running')",
  );
  expect(active).toBe(String(limit));
});
