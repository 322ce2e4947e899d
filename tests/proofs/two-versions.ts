/**
 * The stack `dev`, deployed by the previous version (infra/testdata/upgrade-from.golden.json names that version), with
 * running, suspended, stopped and queued sessions, open desktops and old rows. The proofs `upgrade` and `way-back` change
 * the version of this stack. Both proofs destroy `dev` first and deploy it again at their end.
 */
import { Hopeless, until } from "@berth/testing/until.ts";
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

/**
 * The number of ended sessions that the proof adds to the database, each with a task and `eventsOfEnded` events. Migrations of
 * rows must process them. OLD_ROWS=2000000 proves the upgrade of a large stack.
 */
export const ended = Number(process.env.OLD_ROWS ?? 20_000);
export const eventsOfEnded = 5;
/** The time limit of a step that adds or migrates the rows: half an hour, and a minute more for each 50,000 ended sessions. */
export const stepMs = 60_000 * (30 + ended / 50_000);
export const workspace = "/home/agent/workspace";
/**
 * The maximum number of attempts that a viewer may need to reconnect. The waits before these attempts take less than 5 s in
 * total; see viewer.ts.
 */
const fewTries = 4;
/** The maximum number of milliseconds from the loss of a desktop until the viewer sees the desktop again. */
const longestLossMs = 30_000;

const states = { running: "running", suspended: "suspended", kept: "stopped", busy: "running", queued: "queued" };
type Sessions = Record<keyof typeof states, Session>;

/**
 * acme gets one warm session and keeps the workspaces of ended sessions. globex may have only one running session, so its
 * further sessions wait in the queue.
 */
function tenants({ config }: StackFile): void {
  for (const tenant of config["berth:tenants"])
    Object.assign(tenant, tenant.name === "acme" ? { warmPools: { small: 1 }, retention: "2h" } : { maxSessions: 1 });
}

/** The options with which `up` deploys the stack with this version's program. */
export const current: UpOptions = {
  change: (file) => {
    tenants(file);
    if (ended > 100_000) file.config["berth:migrationTimeout"] = "1h";
  },
};

/** Adds the ended sessions. Each part commits by itself, so that Postgres needs little memory. */
const addEnded = `
  do $$ begin
    for low in 1..${ended} by 20000 loop
      with made as (
        insert into sessions (id, tenant, namespace, tier, state, task, created_at, ended_at)
        select gen_random_uuid(), '${endedTenant}', 'tenant-${endedTenant}', 'small', 'stopped', 'sealed',
          now() - interval '1 hour', now()
        from generate_series(low, least(low + 19999, ${ended})) returning id, created_at
      )
      insert into session_events (session_id, at, type, state, version, actor)
      select id, created_at + version * interval '1 minute', type, state, version, 'worker'
      from made, (values ('created', 'queued', 1), ('admitted', 'starting', 2), ('ready', 'running', 3),
        ('stop', 'stopping', 4), ('gone', 'stopped', ${eventsOfEnded})) as event (type, state, version);
      commit;
    end loop;
  end $$`;

/** Of the operations of an `up`, returns those that delete or replace an object that holds data or serves requests. */
export const losses = (operations: string[]): string[] =>
  operations.filter((operation) =>
    /^(delete|replace|create-replacement|delete-replaced) (Namespace|PersistentVolumeClaim|StatefulSet|Service|Deployment|RandomPassword|kubernetes kubernetes)\b/.test(
      operation,
    ),
  );

/** Waits until a warm session runs, and returns its id. The session with the id `other` does not count. */
export const warmSession = (other = ""): Promise<string> =>
  until(
    "a warm session is ready",
    180,
    () =>
      query("select id from sessions where warm is not null and state = 'running' order by created_at desc limit 1"),
    (id) => id !== "" && id !== other,
  );

export class TwoVersions {
  /** The options with which `up` deploys the stack with the previous version's program. */
  readonly before: UpOptions;
  readonly keys: Record<Tenant, string>;
  readonly sessions: Sessions;
  /** The id of acme's warm session, which the previous version has created. */
  readonly warm: string;
  /** Further sessions of acme that must keep running. */
  readonly younger: Session[] = [];
  readonly #viewers: Viewer[];
  /** The number of sessions that `#queueOne` has added to globex's queue. */
  #queued = 0;

  private constructor(made: Pick<TwoVersions, "before" | "keys" | "sessions" | "warm">, viewers: Viewer[]) {
    this.before = made.before;
    this.keys = made.keys;
    this.sessions = made.sessions;
    this.warm = made.warm;
    this.#viewers = viewers;
  }

  /** Destroys `dev` and deploys it with the previous version. @param cleanUp its disposal deploys this version again */
  static async open(cleanUp: AsyncDisposableStack): Promise<TwoVersions> {
    // This check comes before anything is destroyed.
    await checkHistory();
    cleanUp.defer(removeVersionBefore);
    cleanUp.defer(async () => {
      await destroyOrThrow();
      await upOrThrow();
    });
    const [checkout] = await Promise.all([versionBefore(), destroyOrThrow()]);
    const change = (file: StackFile) => {
      file.config = configBefore(file);
      tenants(file);
    };
    const before = { change, checkout };
    await upOrThrow(before);
    // Sessions request little, so that they fit beside the additional pods that the platform has during a rollout.
    cleanUp.defer(await requestLittle(cluster, ["tenant-acme", "tenant-globex"]));
    await readOutputs();
    const keys = { acme: keyOf("acme"), globex: keyOf("globex") };
    const begun = await inOtherStates(keys);
    const warm = await warmSession();
    // globex's session, which waits in the queue, is created after acme's warm session, because 11d15c4 starts no warm session
    // while another tenant's session waits.
    const sessions = { ...begun, queued: await create("globex") };
    const viewers = await openDesktops(keys, sessions);
    cleanUp.defer(() => {
      for (const viewer of viewers) viewer.leave();
    });
    await query(addEnded);
    return new TwoVersions({ before, keys, sessions, warm }, viewers);
  }

  /**
   * Changes the version of the stack, while writers, callers and viewers are at work. Checks that no writer waited too long, no
   * request was lost, no session ended, and all desktops connected again within 30 s and few tries.
   * @returns the operations of the `up` that delete or replace an object that holds data or serves requests; see `losses`
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
      await this.#allBack();
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
    expect(all.filter(({ tries, ms }) => tries > fewTries || ms > longestLossMs)).toEqual([]);
    return losses(operations);
  }

  /**
   * Requests a session for the tenant globex, which must wait in the queue. Sends the request again after 503 or a broken
   * connection, for at most four minutes (60 s times `patience`). Throws if the request fails.
   */
  async #queueOne(): Promise<undefined> {
    const headers = { "idempotency-key": crypto.randomUUID() };
    const body = { tier: "small", labels: queuedLabel };
    await until("POST /v1/sessions is answered", 60, async () => {
      const response = await call(this.keys.globex, "POST", "/v1/sessions", body, headers);
      if (response.status === 503) return false;
      if (!response.ok) throw new Hopeless(`POST /v1/sessions: ${response.status}`);
      await response.text();
      return true;
    });
    this.#queued += 1;
  }

  /** The old pods close the desktops only when they end, which may be after the end of the rollout. */
  #allBack(): Promise<number> {
    return until(
      "each desktop was closed and is connected again",
      60,
      () => this.#viewers.filter(({ isConnected, losses }) => isConnected && losses.length > 0).length,
      (count) => count === this.#viewers.length,
    );
  }

  /** Returns the UIDs of the running sessions' pods. */
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

async function inOtherStates(keys: Record<Tenant, string>): Promise<Omit<Sessions, "queued">> {
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
  const running = await create("acme");
  await reaches(keys.acme, running.id, "running", 180);
  return { running, suspended, kept, busy };
}

/** Opens desktops: with keys, with a link that allows input, and with a link that only allows viewing. */
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
