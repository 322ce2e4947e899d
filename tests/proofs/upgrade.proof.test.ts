/**
 * A stack that the version before has made (infra/testdata/upgrade-from.golden.json names it), with sessions in all states,
 * open desktops and old rows, is brought to this version by `pulumi up`, and back. Nothing that holds data is replaced, no
 * session ends, and writers write all the while. The stack `dev` is taken away for that, and made anew.
 */
import { globSync } from "node:fs";
import { basename } from "node:path";
import { until } from "@berth/testing/until.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../../machine/machine.ts";
import { requestLittle } from "../bench/small-requests.ts";
import { call, cluster, core, desktopUrl, inAgent, keyOf, reaches, readOutputs, type Session } from "../berth.ts";
import { destroyOrThrow, type StackFile, upOrThrow } from "../pulumi.ts";
import { allowRefusals } from "../refusals.ts";
import { colours, firstFrame, typeBlindly } from "../rfb.ts";
import { configBefore, removeVersionBefore, versionBefore } from "../version-before.ts";
import { fileInClaim } from "./claim.ts";
import { startLoad } from "./load.ts";
import { endedTenant, query, queuedLabel, rolledOut, tenantsAreKnown } from "./platform.ts";
import { create, end, find, type Tenant } from "./sessions.ts";
import { printTable } from "./table.ts";
import { Viewer } from "./viewer.ts";
import { startWriter } from "./writer.ts";

const minutes = 60_000;
/** Sessions that have ended, with their tasks: what migrations of rows have to go through. */
const ended = 20_000;
const workspace = "/home/agent/workspace";
/** A viewer that has tried so often has waited for less than 5 s; see viewer.ts. */
const fewTries = 4;

const cleanUp = new AsyncDisposableStack();
/** The checkout of the version before. */
let before = "";
let keys: Record<Tenant, string>;
let sessions: Record<"running" | "suspended" | "kept" | "busy" | "queued", Session>;
/** The id of acme's warm session. */
let warm: string;
let viewers: Viewer[];
/** A session that this version has made. */
let fresh: Session | undefined;
/** How many sessions have been put into globex's queue under load. */
let queued = 0;

/** acme has a warm session and keeps workspaces; of globex one session runs, and the next ones wait. */
function tenants({ config }: StackFile): void {
  for (const tenant of config["berth:tenants"])
    Object.assign(tenant, tenant.name === "acme" ? { warmPools: { small: 1 }, retention: "2h" } : { maxSessions: 1 });
}
const current = { change: tenants };
const older = {
  change: (file: StackFile) => {
    file.config = configBefore(file);
    tenants(file);
  },
};

beforeAll(async () => {
  before = await versionBefore();
  cleanUp.defer(removeVersionBefore);
  // Nothing of this proof is left: no session, no workspace and no row.
  cleanUp.defer(async () => {
    await destroyOrThrow();
    await upOrThrow();
  });
  // So that acme's sessions fit beside a platform that rolls.
  cleanUp.defer(await requestLittle(cluster, "tenant-acme"));
  await destroyOrThrow();
  await upOrThrow({ ...older, checkout: before });
  await readOutputs();
  keys = { acme: keyOf("acme"), globex: keyOf("globex") };
  sessions = await everyState();
  viewers = await openDesktops();
  cleanUp.defer(() => {
    for (const viewer of viewers) viewer.leave();
  });
  await query(`
    insert into sessions (id, tenant, namespace, tier, state, task)
    select gen_random_uuid(), '${endedTenant}', 'tenant-${endedTenant}', 'small', 'stopped', 'sealed'
    from generate_series(1, ${ended})`);
}, 25 * minutes);

afterAll(() => cleanUp.disposeAsync(), 12 * minutes);

/** The session that waits for an owner, once it runs; not the one of that id. */
const warmSession = (other = "") =>
  until(
    "a warm session is ready",
    180,
    () =>
      query("select id from sessions where warm is not null and state = 'running' order by created_at desc limit 1"),
    (id) => id !== "" && id !== other,
  );

async function everyState(): Promise<typeof sessions> {
  const [suspended, kept, busy] = await Promise.all([create("acme"), create("acme"), create("globex")]);
  for (const { id } of [suspended, kept]) {
    await reaches(keys.acme, id, "running", 180);
    await inAgent("tenant-acme", id, ["sh", "-c", `echo kept > ${workspace}/proof`]);
  }
  expect((await call(keys.acme, "POST", `/v1/sessions/${suspended.id}/suspend`)).status).toBe(202);
  expect((await call(keys.acme, "DELETE", `/v1/sessions/${kept.id}`)).status).toBe(202);
  await reaches(keys.acme, suspended.id, "suspended");
  await reaches(keys.acme, kept.id, "stopped");
  await reaches(keys.globex, busy.id, "running", 180);
  const queued = await create("globex");
  const running = await create("acme");
  await reaches(keys.acme, running.id, "running", 180);
  warm = await warmSession();
  return { running, suspended, kept, busy, queued };
}

/** By key, by a link that lets its holder work, and by one that lets him look. */
async function openDesktops(): Promise<Viewer[]> {
  const { id } = sessions.running;
  const ticket = async (mode: string) => {
    const body = { mode, lifetimeSeconds: 3_600 };
    const response = await call(keys.acme, "POST", `/v1/sessions/${id}/desktop-tickets`, body);
    return ((await response.json()) as { ticket: string }).ticket;
  };
  return Promise.all([
    ...Array.from({ length: 4 }, () => Viewer.open("acme", id)),
    Viewer.open("acme", id, await ticket("interactive")),
    Viewer.open("acme", id, await ticket("view")),
    Viewer.open("globex", sessions.busy.id),
  ]);
}

const podOf = async (tenant: Tenant, { id }: Session) =>
  (await core.readNamespacedPod({ name: `agent-${id}`, namespace: `tenant-${tenant}` })).metadata?.uid;
const pods = () =>
  Promise.all([
    podOf("acme", sessions.running),
    podOf("globex", sessions.busy),
    ...(fresh ? [podOf("acme", fresh)] : []),
  ]);

const allConnected = () =>
  until(
    "all desktops are connected",
    60,
    () => viewers.filter(({ isConnected }) => isConnected).length,
    (count) => count === viewers.length,
  );

/** Operations by which something that holds data, or serves, would be lost. */
const losses = (operations: string[]) =>
  operations.filter((operation) =>
    /^(delete|replace|create-replacement|delete-replaced) (Namespace|PersistentVolumeClaim|StatefulSet|Service|Deployment|RandomPassword|kubernetes kubernetes)\b/.test(
      operation,
    ),
  );

test(
  "the preview of this version replaces nothing that holds data or serves",
  async () => {
    const { operations } = await upOrThrow({ ...current, command: "preview" });
    console.log(operations.map((operation) => `  ${operation}`).join("\n"));
    expect(operations).not.toEqual([]);
    expect(losses(operations)).toEqual([]);
  },
  5 * minutes,
);

/** A session that waits in globex's queue: a write that the API has answered. It comes again where it is told to. */
async function queueOne(): Promise<string | undefined> {
  const headers = { "idempotency-key": crypto.randomUUID() };
  const deadline = performance.now() + 60_000;
  for (;;) {
    const body = { tier: "small", labels: queuedLabel };
    const response = await call(keys.globex, "POST", "/v1/sessions", body, headers).catch(() => undefined);
    if (response?.ok) {
      queued += 1;
      return void (await response.text());
    }
    if ((response !== undefined && response.status !== 503) || performance.now() > deadline)
      return `POST /v1/sessions: ${response?.status}`;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Brings the stack to another version, with writers, callers and viewers, and says how they fared. */
async function change(what: string, options: Parameters<typeof upOrThrow>[0]): Promise<void> {
  using _ = allowRefusals("Redis gets the other version's image, and an API that begins waits for it");
  for (const { losses } of viewers) losses.length = 0;
  const podsBefore = await pods();
  const began = performance.now();
  const writer = await startWriter();
  const load = startLoad(0.2, queueOne);
  let requests: Awaited<ReturnType<typeof load.stop>>;
  let written: Awaited<ReturnType<typeof writer.stop>>;
  try {
    const { operations } = await upOrThrow(options);
    expect(losses(operations)).toEqual([]);
    await Promise.all(["deployment/api", "deployment/worker", "statefulset/redis"].map(rolledOut));
    await allConnected();
  } finally {
    requests = await load.stop();
    written = await writer.stop();
    await query("drop table upgrade_proof");
  }
  const all = viewers.flatMap((viewer) => viewer.losses);
  printTable(what, [
    {
      seconds: Math.round((performance.now() - began) / 1_000),
      writes: written.writes,
      "waited too long": written.failed.length,
      requests: requests.count,
      failed: requests.failed.length,
      "desktops lost": all.length,
      "back in ms at most": Math.round(Math.max(0, ...all.map(({ ms }) => ms))),
      "tries at most": Math.max(0, ...all.map(({ tries }) => tries)),
    },
  ]);
  expect(written.failed).toEqual([]);
  expect(written.writes).toBeGreaterThan(0);
  expect(requests.failed).toEqual([]);
  const waiting = `select count(*) from sessions where state = 'queued' and labels @> '${JSON.stringify(queuedLabel)}'`;
  expect(Number(await query(waiting))).toBe(queued);
  expect(await pods()).toEqual(podsBefore);
  expect(await statesOf()).toEqual(states);
  expect(viewers.map((viewer) => viewer.losses.length)).not.toContain(0);
  expect(all.filter(({ tries }) => tries > fewTries)).toEqual([]);
}

const states = { running: "running", suspended: "suspended", kept: "stopped", busy: "running", queued: "queued" };
async function statesOf(): Promise<typeof states> {
  const found = Object.entries(sessions).map(async ([name, { id }]) => {
    const tenant = name === "busy" || name === "queued" ? "globex" : "acme";
    return [name, (await find(tenant, id)).state];
  });
  return Object.fromEntries(await Promise.all(found)) as typeof states;
}

test(
  "`pulumi up` ends no session, holds up no writer, and desktops are back within a few tries",
  async () => {
    await change("upgrade", current);
    await readOutputs();
    expect({ acme: keyOf("acme"), globex: keyOf("globex") }).toEqual(keys);
    const migrations = globSync("runtime/src/store/migrations/0*.ts", { cwd: root }).map((file) =>
      basename(file, ".ts"),
    );
    expect((await query("select name from kysely_migration")).split("\n").sort()).toEqual(migrations.sort());
    // Which rows of before are changed, and how, the commit decides from which the upgrade starts.
    const tasks = `select count(*), count(task) from sessions where tenant = '${endedTenant}'`;
    expect(await query(tasks)).toBe(`${ended}|0`);
  },
  10 * minutes,
);

test(
  "a desktop of the version before can be used, and its agent reaches the API",
  async () => {
    const { id } = sessions.running;
    const authorization = { authorization: `Bearer ${keys.acme}` };
    expect(colours(await firstFrame(desktopUrl(id), authorization))).toBeGreaterThan(1);
    await typeBlindly(desktopUrl(id), `echo typed > ${workspace}/typed\n`, authorization);
    await until(
      "what was typed is in the workspace",
      60,
      () => inAgent("tenant-acme", id, ["sh", "-c", `cat ${workspace}/typed 2>/dev/null || true`]),
      (text) => text === "typed\n",
    );
    await inAgent("tenant-acme", id, ["berth-progress", "upgraded"]);
    expect(await find("acme", id)).toMatchObject({ progress: { message: "upgraded" } });
  },
  3 * minutes,
);

test(
  "workspaces are as they were: of the session that wakes, and of the one that had ended",
  async () => {
    const { suspended, kept } = sessions;
    expect(await fileInClaim("tenant-acme", `agent-${kept.id}`, "proof")).toBe("kept\n");
    expect((await call(keys.acme, "POST", `/v1/sessions/${suspended.id}/resume`)).status).toBe(202);
    await reaches(keys.acme, suspended.id, "running", 180);
    expect(await inAgent("tenant-acme", suspended.id, ["cat", `${workspace}/proof`])).toBe("kept\n");
    expect((await call(keys.acme, "POST", `/v1/sessions/${suspended.id}/suspend`)).status).toBe(202);
    await reaches(keys.acme, suspended.id, "suspended");
  },
  6 * minutes,
);

test(
  "a new session starts: one that this version has made ahead, because it gives out none of the version before",
  async () => {
    await tenantsAreKnown();
    await warmSession(warm);
    fresh = await create("acme");
    expect(fresh.state).toBe("running");
    const authorization = { authorization: `Bearer ${keys.acme}` };
    expect(colours(await firstFrame(desktopUrl(fresh.id), authorization))).toBeGreaterThan(1);
  },
  6 * minutes,
);

test(
  "and back, by the `pulumi up` of the version before: no session ends, and a new one starts",
  async () => {
    await change("the way back", { ...older, checkout: before });
    expect(await find("acme", fresh?.id ?? "")).toMatchObject({ state: "running" });
    const { id } = await create("acme");
    await reaches(keys.acme, id, "running", 180);
    await end("globex", sessions.busy.id);
    await reaches(keys.globex, sessions.queued.id, "running", 180);
  },
  10 * minutes,
);
