/**
 * The stack `dev`, made by the version before (infra/testdata/upgrade-from.golden.json names that version), with sessions in all
 * states, open desktops and old rows. The proofs upgrade and way-back change the version of this stack. Both proofs destroy `dev`
 * first and make it again at their end.
 */
import { until } from "@berth/testing/until.ts";
import { expect } from "vitest";
import { requestLittle } from "../bench/small-requests.ts";
import { call, cluster, core, inAgent, keyOf, reaches, readOutputs, type Session } from "../berth.ts";
import { destroyOrThrow, type StackFile, type UpOptions, upOrThrow } from "../pulumi.ts";
import { allowRefusals } from "../refusals.ts";
import { checkHistory, configBefore, removeVersionBefore, versionBefore } from "../version-before.ts";
import { startLoad } from "./load.ts";
import { endedTenant, query, queuedLabel, rolledOut } from "./platform.ts";
import { create, find, type Tenant } from "./sessions.ts";
import { printTable } from "./table.ts";
import { Viewer } from "./viewer.ts";
import { startWriter } from "./writer.ts";

/** Sessions that have ended, with their tasks: what migrations of rows have to go through. */
export const ended = 20_000;
export const workspace = "/home/agent/workspace";
/** A viewer that has tried so often has waited for less than 5 s; see viewer.ts. */
const fewTries = 4;

const states = { running: "running", suspended: "suspended", kept: "stopped", busy: "running", queued: "queued" };
type Sessions = Record<keyof typeof states, Session>;

/** acme has a warm session and keeps workspaces; of globex one session runs, and the next ones wait. */
function tenants({ config }: StackFile): void {
  for (const tenant of config["berth:tenants"])
    Object.assign(tenant, tenant.name === "acme" ? { warmPools: { small: 1 }, retention: "2h" } : { maxSessions: 1 });
}

/** How `up` makes the stack with this version's program. */
export const current: UpOptions = { change: tenants };

/** Operations by which something that holds data, or serves, would be lost. */
export const losses = (operations: string[]): string[] =>
  operations.filter((operation) =>
    /^(delete|replace|create-replacement|delete-replaced) (Namespace|PersistentVolumeClaim|StatefulSet|Service|Deployment|RandomPassword|kubernetes kubernetes)\b/.test(
      operation,
    ),
  );

/** The session that waits for an owner, once it runs; not the one of that id. */
export const warmSession = (other = ""): Promise<string> =>
  until(
    "a warm session is ready",
    180,
    () =>
      query("select id from sessions where warm is not null and state = 'running' order by created_at desc limit 1"),
    (id) => id !== "" && id !== other,
  );

export class TwoVersions {
  /** How `up` makes the stack with the program of the version before. */
  readonly before: UpOptions;
  readonly keys: Record<Tenant, string>;
  readonly sessions: Sessions;
  /** The id of acme's warm session, which the version before has made. */
  readonly warm: string;
  /** Further sessions of acme that have to run on. */
  readonly younger: Session[] = [];
  readonly #viewers: Viewer[];
  /** How many sessions have been put into globex's queue under load. */
  #queued = 0;

  private constructor(made: Pick<TwoVersions, "before" | "keys" | "sessions" | "warm">, viewers: Viewer[]) {
    this.before = made.before;
    this.keys = made.keys;
    this.sessions = made.sessions;
    this.warm = made.warm;
    this.#viewers = viewers;
  }

  /** Destroys `dev` and makes it with the version before. @param cleanUp makes `dev` again with this version */
  static async open(cleanUp: AsyncDisposableStack): Promise<TwoVersions> {
    // Before anything is taken away.
    await checkHistory();
    cleanUp.defer(removeVersionBefore);
    cleanUp.defer(async () => {
      await destroyOrThrow();
      await upOrThrow();
    });
    const [checkout] = await Promise.all([versionBefore(), destroyOrThrow()]);
    // So that acme's sessions fit beside a platform that rolls.
    cleanUp.defer(await requestLittle(cluster, "tenant-acme"));
    const change = (file: StackFile) => {
      file.config = configBefore(file);
      tenants(file);
    };
    const before = { change, checkout };
    await upOrThrow(before);
    await readOutputs();
    const keys = { acme: keyOf("acme"), globex: keyOf("globex") };
    const sessions = await inEveryState(keys);
    const warm = await warmSession();
    const viewers = await openDesktops(keys, sessions);
    cleanUp.defer(() => {
      for (const viewer of viewers) viewer.leave();
    });
    await query(`
      insert into sessions (id, tenant, namespace, tier, state, task)
      select gen_random_uuid(), '${endedTenant}', 'tenant-${endedTenant}', 'small', 'stopped', 'sealed'
      from generate_series(1, ${ended})`);
    return new TwoVersions({ before, keys, sessions, warm }, viewers);
  }

  /**
   * Changes the version of the stack, while writers, callers and viewers are at work. Checks that no writer waited too long, no
   * request was lost, no session ended, and all desktops connected again.
   * @returns the operations that `losses` finds
   */
  async change(what: string, options: UpOptions): Promise<string[]> {
    using _ = allowRefusals("Redis gets the other version's image, and an API that begins waits for it");
    for (const { losses } of this.#viewers) losses.length = 0;
    const podsBefore = await this.#pods();
    const began = performance.now();
    const writer = await startWriter();
    const load = startLoad(0.2, () => this.#queueOne());
    let operations: string[];
    let requests: Awaited<ReturnType<typeof load.stop>>;
    let written: Awaited<ReturnType<typeof writer.stop>>;
    try {
      ({ operations } = await upOrThrow(options));
      await Promise.all(["deployment/api", "deployment/worker", "statefulset/redis"].map(rolledOut));
      await this.#allConnected();
    } finally {
      requests = await load.stop();
      written = await writer.stop();
      await query("drop table upgrade_proof");
    }
    const all = this.#viewers.flatMap((viewer) => viewer.losses);
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
    expect(Number(await query(waiting))).toBe(this.#queued);
    expect(await this.#pods()).toEqual(podsBefore);
    expect(await this.#states()).toEqual(states);
    expect(this.#viewers.map((viewer) => viewer.losses.length)).not.toContain(0);
    expect(all.filter(({ tries }) => tries > fewTries)).toEqual([]);
    return losses(operations);
  }

  /** A session that waits in globex's queue: a write that the API has answered. It comes again where it is told to. */
  async #queueOne(): Promise<string | undefined> {
    const headers = { "idempotency-key": crypto.randomUUID() };
    const deadline = performance.now() + 60_000;
    for (;;) {
      const body = { tier: "small", labels: queuedLabel };
      const response = await call(this.keys.globex, "POST", "/v1/sessions", body, headers).catch(() => undefined);
      if (response?.ok) {
        this.#queued += 1;
        return void (await response.text());
      }
      if ((response !== undefined && response.status !== 503) || performance.now() > deadline)
        return `POST /v1/sessions: ${response?.status}`;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  #allConnected(): Promise<number> {
    return until(
      "all desktops are connected",
      60,
      () => this.#viewers.filter(({ isConnected }) => isConnected).length,
      (count) => count === this.#viewers.length,
    );
  }

  /** The pods of the sessions that run. */
  #pods(): Promise<(string | undefined)[]> {
    const { running, busy } = this.sessions;
    return Promise.all([...[running, ...this.younger].map((one) => podOf("acme", one)), podOf("globex", busy)]);
  }

  async #states(): Promise<Record<string, string>> {
    const found = Object.entries(this.sessions).map(async ([name, { id }]) => {
      const tenant = name === "busy" || name === "queued" ? "globex" : "acme";
      return [name, (await find(tenant, id)).state];
    });
    return Object.fromEntries(await Promise.all(found));
  }
}

const podOf = async (tenant: Tenant, { id }: Session) =>
  (await core.readNamespacedPod({ name: `agent-${id}`, namespace: `tenant-${tenant}` })).metadata?.uid;

async function inEveryState(keys: Record<Tenant, string>): Promise<Sessions> {
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
  return { running, suspended, kept, busy, queued };
}

/** By key, by a link that lets its holder work, and by one that lets him look. */
async function openDesktops({ acme }: Record<Tenant, string>, { running, busy }: Sessions): Promise<Viewer[]> {
  const ticket = async (mode: string) => {
    const body = { mode, lifetimeSeconds: 3_600 };
    const response = await call(acme, "POST", `/v1/sessions/${running.id}/desktop-tickets`, body);
    return ((await response.json()) as { ticket: string }).ticket;
  };
  return Promise.all([
    ...Array.from({ length: 4 }, () => Viewer.open("acme", running.id)),
    Viewer.open("acme", running.id, await ticket("interactive")),
    Viewer.open("acme", running.id, await ticket("view")),
    Viewer.open("globex", busy.id),
  ]);
}
