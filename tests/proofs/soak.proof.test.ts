/**
 * For 8 minutes, or for BERTH_SOAK_MINUTES, the proof starts, stops, suspends, resumes and views sessions, and kills
 * processes of API and worker, all at random. The proof takes longer if the memory of a process was not measured for long enough
 * in this time. `npm run test:proofs` ends a proof after 40 minutes. So run a longer proof
 * directly: `BERTH_SOAK_MINUTES=60 npx vitest run --project proof soak`. The proof checks that nothing is lost, nothing is left
 * over, no log has an error, and memory does not grow. Kills end after a third of the time, so that the memory of the last
 * processes can be measured for a long time. The random choices come from BERTH_SOAK_SEED, a number; with the value
 * `random`, each run makes other choices.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "@berth/testing/until.ts";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Schema } from "../../runtime/src/store/schema.ts";
import { auditOf } from "../../runtime/src/testing/audit.ts";
import { requestLittle } from "../bench/small-requests.ts";
import { call, cluster, core, desktopUrl, keyOf, type Session } from "../berth.ts";
import { allowRefusals } from "../refusals.ts";
import { firstFrame } from "../rfb.ts";
import { inBerth } from "./platform.ts";
import { type Component, crash, heldBy, logOf, memoryOf, podsOf, processOf } from "./processes.ts";
import { end, type Tenant } from "./sessions.ts";
import { slopePerMinute } from "./slope.ts";
import { printTable } from "./table.ts";

const minutes = Number(process.env.BERTH_SOAK_MINUTES ?? 8);
const { BERTH_SOAK_SEED: chosen = "14" } = process.env;
const seed = chosen === "random" ? Date.now() % 1_000_000 : Number(chosen);
const tenants: Tenant[] = ["acme", "globex"];
/** The highest number of each tenant's sessions at the same time. A machine with 2 cores can run 4 desktops at the same time. */
const most: Record<Tenant, number> = { acme: 3, globex: 1 };
/** The proof fails if a process has more resident memory, in MiB. The pods' own memory limit is 512 MiB. */
const mostMib = 400;
/**
 * Growth of used memory up to this limit, in MiB per minute, is noise. If less than 5 minutes were measured, a total growth of
 * 5 MiB is noise.
 */
const flat = 1;
/**
 * Memory is measured from this age of a process in seconds, because the memory that a process needs at its start is not
 * growth.
 */
const warmUp = 30;

/** Mulberry32, a small random number generator that is good enough for these choices. Returns numbers from 0 up to 1. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const oneOf = <T>(random: () => number, list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
/** Calls and kills have separate random number generators, so that the choices of one do not depend on the pace of the other. */
const [forCalls, forKills] = [randomFrom(seed), randomFrom(seed + 1)];

let database: Kysely<Schema>;
const cleanUp = new AsyncDisposableStack();
let before: string[] = [];
const log: string[] = [];
const began = performance.now();
const seconds = () => (performance.now() - began) / 1_000;

beforeAll(async () => {
  const address = (await core.readNamespacedService({ namespace: "berth", name: "postgres" })).spec?.clusterIP ?? "";
  const password = `process.stdout.write(require("fs").readFileSync(process.env.SECRETS_DIR + "/postgres-password"))`;
  const pool = new pg.Pool({
    host: await reachable(address),
    user: "berth",
    database: "berth",
    password: (await inBerth(["exec", "deploy/api", "--", "/nodejs/bin/node", "-e", password])).trim(),
  });
  pool.on("error", () => {}); // the next query replaces an idle connection that breaks
  database = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  cleanUp.defer(() => database.destroy());
  cleanUp.defer(await requestLittle(cluster, "tenant-acme"));
  before = await audit();
  cleanUp.defer(endAll);
});

// A headless Service has no address, so the test uses the pod's address, which the node reaches.
async function reachable(address: string): Promise<string> {
  if (address !== "None") return address;
  return (await core.readNamespacedPod({ namespace: "berth", name: "postgres-0" })).status?.podIP ?? "";
}

afterAll(() => cleanUp.disposeAsync());

const endAll = async () => {
  for (const tenant of tenants) await end(tenant, ...(await sessionsOf(tenant)).map(({ id }) => id));
};

const audit = async () =>
  (await Promise.all(tenants.map((tenant) => auditOf(core, database, `tenant-${tenant}`)))).flat();

/** Retries until the API answers, as clients must do, because the test sometimes kills the API. */
const ask = (tenant: Tenant, method: string, path: string, body?: object): Promise<Response> =>
  until(
    `the API answers ${method} ${path}`,
    120,
    () => call(keyOf(tenant), method, path, body),
    ({ status }) => status !== 503,
  );

async function sessionsOf(tenant: Tenant): Promise<Session[]> {
  const states = ["queued", "starting", "running", "suspending", "suspended", "stopping"];
  const query = new URLSearchParams({ limit: "100" });
  for (const state of states) query.append("state", state);
  const response = await ask(tenant, "GET", `/v1/sessions?${query}`);
  return ((await response.json()) as { items: Session[] }).items;
}

const done: Record<string, number> = {};
const note = (what: string) => {
  done[what] = (done[what] ?? 0) + 1;
};
const problems: string[] = [];

/** Calls the API. 404 and 409 are no problem, because the session may have ended, or its state may not allow the call. */
async function act(what: string, tenant: Tenant, method: string, path: string, body?: object): Promise<void> {
  const { status } = await ask(tenant, method, path, body);
  note(what);
  if (status >= 500 || ![200, 201, 202, 204, 404, 409].includes(status)) problems.push(`${what}: HTTP ${status}`);
}

async function view(tenant: Tenant, id: string): Promise<void> {
  // The session or the API's process may end during the view.
  const frame = await Promise.race([
    firstFrame(desktopUrl(id), { authorization: `Bearer ${keyOf(tenant)}` }).catch(() => undefined),
    sleep(60_000, undefined, { ref: false }),
  ]);
  note(frame === undefined ? "view in vain" : "view");
}

async function turn(): Promise<void> {
  const tenant = oneOf(forCalls, tenants) ?? "acme";
  const sessions = await sessionsOf(tenant);
  const session = oneOf(forCalls, sessions);
  const at = `/v1/sessions/${session?.id}`;
  const choice = forCalls();
  if (session === undefined || (sessions.length < most[tenant] && choice < 0.35))
    return act("start", tenant, "POST", "/v1/sessions", { tier: "small" });
  if (choice < 0.5) return act("stop", tenant, "DELETE", at);
  if (choice < 0.65) return act("suspend", tenant, "POST", `${at}/suspend`);
  if (choice < 0.8) return act("resume", tenant, "POST", `${at}/resume`);
  // For other sessions the test can't know whether they have a desktop at this moment.
  const running = sessions.filter(({ state }) => state === "running");
  const shown = oneOf(forCalls, running);
  if (shown) await view(tenant, shown.id);
}

/** Kills the process of one of the component's pods. */
async function kill(component: Component): Promise<void> {
  const pod = oneOf(forKills, await podsOf(component));
  if (pod === undefined || processOf(pod) === undefined) return;
  log.push(...(await crash(pod)));
  note(`kill of ${component}`);
}

/** Whether a pod of the API is ready and reachable by the node port. */
const apiIsReady = async (): Promise<boolean> =>
  (await podsOf("api")).some(({ status }) =>
    status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
  ) && (await call(keyOf("acme"), "GET", "/v1/sessions")).ok;

interface Measurement {
  at: number;
  /** Resident memory in MiB. */
  mib: number;
  /** Used memory after a garbage collection. Undefined in the first 30 s of measuring the process, and if the process has ended. */
  heldMib: number | undefined;
}
/** The measurements of each process. The key is the pod's name and the process's id. */
const memory = new Map<string, Measurement[]>();
const components = ["api", "worker"] as const;

/** Returns the used memory of a process: seconds and MiB. */
const heldIn = (life: Measurement[]) =>
  life.flatMap(({ at, heldMib }): [number, number][] => (heldMib === undefined ? [] : [[at, heldMib]]));

/** Returns the minutes between the first and the last measurement of used memory. */
function minutesOf(held: [number, number][]): number {
  return ((held.at(-1)?.[0] ?? 0) - (held[0]?.[0] ?? 0)) / 60;
}

/** Whether the process was measured for long enough to judge the growth of its memory. */
const isLong = (life: Measurement[]) => minutesOf(heldIn(life)) >= minutes * 0.4;

const haveLong = () =>
  components.every((component) => [...memory].some(([name, life]) => name.startsWith(`${component}-`) && isLong(life)));

/** Records the memory of each process of API and worker. */
async function measure(): Promise<void> {
  for (const component of components)
    for (const pod of await podsOf(component)) {
      const pid = processOf(pod);
      const mib = pid === undefined ? undefined : memoryOf(pid);
      if (mib === undefined) continue;
      const name = `${pod.metadata?.name} ${pid}`;
      const life = memory.get(name) ?? [];
      const at = seconds();
      const heldMib = at - (life[0]?.at ?? at) < warmUp ? undefined : await heldBy(pod);
      memory.set(name, [...life, { at, mib, heldMib }]);
    }
}

test(`${minutes} minutes of random calls and kills lose nothing (seed ${seed})`, {
  timeout: (minutes + 30) * 60_000,
}, async () => {
  const start = seconds();
  // On a busy machine it may take longer until each component has a process that was measured for long enough.
  const over = () => {
    const left = minutes * 60 - (seconds() - start);
    return left < 0 && (haveLong() || left < -360);
  };
  const killing = async () => {
    using _ = allowRefusals("the test sometimes kills the API's only process");
    for (let component: Component = "worker"; seconds() - start < minutes * 20; ) {
      await sleep(20_000 + forKills() * 20_000);
      await kill(component);
      component = component === "api" ? "worker" : "api";
    }
    await until("the API is ready again", 120, apiIsReady);
  };
  const acting = async () => {
    for (; !over(); await sleep(500 + forCalls() * 1_500)) await turn();
  };
  const measuring = async () => {
    for (; !over(); await sleep(15_000)) await measure();
  };
  await Promise.all([killing(), acting(), measuring()]);
  printTable("how often each operation was called", [done]);

  // No further calls are made, so every session reaches a stable state.
  await until(
    "all sessions are in a stable state",
    240,
    async () => {
      const all = (await Promise.all(tenants.map(sessionsOf))).flat();
      return all
        .filter(({ state }) => !["running", "suspended"].includes(state))
        .map(({ id, state }) => `${id} ${state}`);
    },
    (moving) => moving.length === 0,
  );
  expect((await audit()).filter((fault) => !before.includes(fault))).toEqual([]);
  await endAll();
  expect((await audit()).filter((fault) => !before.includes(fault))).toEqual([]);
  expect(problems).toEqual([]);
  expect(done.view ?? 0).toBeGreaterThan(done["view in vain"] ?? 0);
});

test("memory stays below the pods' limit, and does not grow in processes that lived long enough to measure", () => {
  const lives = [...memory];
  const rows = lives.map(([name, life]) => {
    const held = heldIn(life);
    return {
      process: name,
      "MiB at the end": Math.round(life.at(-1)?.mib ?? 0),
      "held then": Math.round(held.at(-1)?.[1] ?? 0),
      "minutes measured": Number(minutesOf(held).toFixed(1)),
      "held MiB per minute": Number(slopePerMinute(held).toFixed(2)),
    };
  });
  printTable("memory", rows);
  expect(rows.filter((row) => row["MiB at the end"] > mostMib)).toEqual([]);
  // Kills end after a third of the time, so the last process of each kind lives for almost two thirds of the time.
  const judged = rows.filter((_, index) => isLong(lives[index]?.[1] ?? []));
  for (const component of components)
    expect(judged.filter(({ process }) => process.startsWith(`${component}-`))).not.toEqual([]);
  const most = (measured: number) => flat * Math.max(1, 5 / measured);
  expect(judged.filter((row) => row["held MiB per minute"] > most(row["minutes measured"]))).toEqual([]);
});

/**
 * The test also reads the logs of killed processes. These logs have no error either: SIGKILL leaves no time for a log line,
 * and other processes log the interruption as a warning.
 */
test("the logs contain no error", async () => {
  for (const component of components) for (const pod of await podsOf(component)) log.push(...(await logOf(pod)));
  const lines = log.map((line) => JSON.parse(line) as { level: string; time: string; msg: string });
  expect(lines.length).toBeGreaterThan(0);
  const errors = lines.filter(({ level }) => ["error", "fatal"].includes(level));
  expect(errors.filter(({ time }) => new Date(time).getTime() >= Date.now() - performance.now() + began)).toEqual([]);
});
