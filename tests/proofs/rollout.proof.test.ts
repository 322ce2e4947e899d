/**
 * Three replicas of the API serve load and open desktops during four changes: a new image of API and worker with a
 * migration, the rollback to the old image, and restarts of Redis and Postgres. No request is lost, and no session ends.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Hopeless, until } from "@berth/testing/until.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requestLittle } from "../bench/small-requests.ts";
import { call, cluster, core, keyOf, reaches, type Session } from "../berth.ts";
import { copyOfCheckout } from "../checkout.ts";
import { prodOnThisMachine } from "../prod-on-this-machine.ts";
import { deploy, type StackFile, upOrThrow } from "../pulumi.ts";
import { allowRefusals } from "../refusals.ts";
import { startLoad } from "./load.ts";
import { apps, forgetMigration, inBerth, proofMigration, query, rolledOut } from "./platform.ts";
import { create, end, find, type Tenant } from "./sessions.ts";
import { printTable } from "./table.ts";
import { type Loss, Viewer } from "./viewer.ts";

const requestsPerSecond = 15;
const desktops = 20;
const acme = keyOf("acme");

const cleanUp = new AsyncDisposableStack();
let sessions: Session[] = [];
let viewers: Viewer[] = [];
/** The folder with the checkout of the new version. */
let next = "";

const prod = {
  change: (file: StackFile) => {
    file.config = prodOnThisMachine(file.config);
    file.config["berth:limits"] = { ratePerMinute: 6_000 };
  },
};

beforeAll(async () => {
  await deploy(cleanUp, prod);
  // The database goes back before the stack, because the old migrations would refuse a database with newer migrations.
  cleanUp.defer(async () => void (await forgetMigration()));
  next = await nextVersion();
  cleanUp.defer(() => rm(next, { recursive: true }));
  // The new images are built before the proof sends its requests, because a build uses both cores of a small machine.
  await upOrThrow({ ...prod, checkout: next, flags: ["--target", "**images-api*", "--target", "**images-agent*"] });
  await rolledOut("deployment/api");
  // During a rollout the platform has more pods. They would displace acme's sessions if the sessions did not request little.
  cleanUp.defer(await requestLittle(cluster, "tenant-acme"));
  sessions = await Promise.all([start("acme"), start("acme")]);
  for (const { id } of sessions) await reaches(acme, id, "running");
  viewers = await Promise.all(
    Array.from({ length: desktops }, (_, at) => Viewer.open("acme", sessions[at % sessions.length]?.id ?? "")),
  );
  cleanUp.defer(() => {
    for (const viewer of viewers) viewer.leave();
  });
});

afterAll(() => cleanUp.disposeAsync());

/** Creates a session that the clean-up ends. */
async function start(tenant: Tenant): Promise<Session> {
  const made = await create(tenant);
  cleanUp.defer(() => end(tenant, made.id));
  return made;
}

/** Creates a version with another image and a migration that adds a column. */
async function nextVersion(): Promise<string> {
  const folder = await copyOfCheckout();
  const at = (file: string) => join(folder, "runtime/src/store", file);
  await writeFile(
    at(`migrations/${proofMigration}.ts`),
    `import type { Kysely } from "kysely";
export const up = (db: Kysely<unknown>) => db.schema.alterTable("sessions").addColumn("proof", "text").execute();
`,
  );
  const text = await readFile(at("migrate.ts"), "utf8");
  await writeFile(
    at("migrate.ts"),
    `import * as proof from "./migrations/${proofMigration}.ts";\n${text.replace(/(?<=const migrations: .* = \{\n)/, `  "${proofMigration}": proof,\n`)}`,
  );
  return folder;
}

/** Returns the image that all pods of the Deployment have. */
const imageOf = async (name: string) =>
  (await apps.readNamespacedDeployment({ name, namespace: "berth" })).spec?.template.spec?.containers[0]?.image;

/** Waits until all pods of the runtime have the newest version, and the old pods have closed all connections. */
async function replaced(): Promise<void> {
  await Promise.all(["api", "gateway", "worker"].map((name) => rolledOut(`deployment/${name}`)));
  const old = [
    "get",
    "pods",
    "-l",
    "app.kubernetes.io/name in (api, gateway, worker)",
    "-o",
    "jsonpath={.items[*].metadata.deletionTimestamp}",
  ];
  await until(
    "the old pods have ended",
    60,
    () => inBerth(old),
    (deletions) => deletions === "",
  );
}

interface Repeats {
  /** How often a request had to be repeated. */
  waited: number;
}

/**
 * Returns a function that makes GET and POST requests in turn. With `again`, the function repeats a request after 503 or a
 * broken connection, for at most four minutes (60 s times `patience`).
 */
function requester(again: boolean, repeats: Repeats) {
  let turn = 0;
  return async (): Promise<undefined> => {
    const { id } = sessions[turn % sessions.length] as Session;
    turn += 1;
    const [method, path] = [
      ["GET", `/v1/sessions/${id}`],
      ["GET", "/v1/sessions"],
      ["POST", `/v1/sessions/${id}/desktop-tickets`],
    ][turn % 3] as [string, string];
    const isAnswered = async () => {
      const response = await call(acme, method, path);
      if (again && response.status === 503) return false;
      if (!response.ok) throw new Hopeless(`${method} ${path}: ${response.status}`);
      await response.text();
      return true;
    };
    if (!again) return void (await isAnswered());
    let tries = 0;
    await until(`${method} ${path} is answered`, 60, () => {
      tries += 1;
      return isAnswered();
    });
    repeats.waited += tries - 1;
  };
}

/** Returns the milliseconds within which 95 of 100 desktops were connected again. `losses` must be sorted. */
const p95 = (losses: Loss[]) => losses[Math.ceil(losses.length * 0.95) - 1]?.ms ?? 0;

/**
 * Checks that each desktop has lost its connection (because each replica was replaced), that no desktop needed more than two
 * tries to reconnect, and that 95 of 100 desktops were connected again within 2 s.
 */
function expectBack(losses: Loss[]): void {
  expect(viewers.map((viewer) => viewer.losses.length)).not.toContain(0);
  expect(losses.filter(({ tries }) => tries > 2)).toEqual([]);
  expect(p95(losses)).toBeLessThanOrEqual(2_000);
}

/** Makes the change under load, and reports the results for callers, viewers and sessions. */
async function underLoad(what: string, again: boolean, change: () => Promise<void>) {
  const repeats = { waited: 0 };
  for (const { losses, codes } of viewers) {
    losses.length = 0;
    codes.length = 0;
  }
  const podOf = async ({ id }: Session) =>
    (await core.readNamespacedPod({ name: `agent-${id}`, namespace: "tenant-acme" })).metadata?.uid;
  const before = await Promise.all(sessions.map(podOf));
  const load = startLoad(requestsPerSecond, requester(again, repeats));
  const began = performance.now();
  let result: Awaited<ReturnType<typeof load.stop>> | undefined;
  try {
    await change();
    await until(
      "all desktops are connected",
      60,
      () => viewers.filter(({ isConnected }) => isConnected).length,
      (count) => count === desktops,
    );
  } finally {
    result = await load.stop();
  }
  const losses = viewers.flatMap((viewer) => viewer.losses).sort((a, b) => a.ms - b.ms);
  const codes = [...new Set(viewers.flatMap((viewer) => viewer.codes))].join(" ");
  printTable(what, [
    {
      seconds: Math.round((performance.now() - began) / 1_000),
      requests: result.count,
      failed: result.failed.length,
      "told to wait": repeats.waited,
      "slowest ms": result.slowestMs,
      "desktops lost": losses.length,
      "close codes": codes || "-",
      "back in ms, 95 %": Math.round(p95(losses)),
      "at most": Math.round(losses.at(-1)?.ms ?? 0),
      "tries at most": Math.max(0, ...losses.map(({ tries }) => tries)),
    },
  ]);
  expect(result.failed).toEqual([]);
  expect(await Promise.all(sessions.map(podOf))).toEqual(before);
  for (const { id } of sessions) expect(await find("acme", id)).toMatchObject({ state: "running" });
  return { losses };
}

test("during a rollout with a migration, no request fails, desktops reconnect by the second try, and no session ends", async () => {
  const old = await imageOf("api");
  const { losses } = await underLoad("rollout of a new version", false, async () => {
    const rolling = upOrThrow({ ...prod, checkout: next });
    try {
      const started = await start("globex"); // sessions also start during the rollout
      await reaches(keyOf("globex"), started.id, "running");
    } finally {
      await rolling;
    }
    await replaced();
  });
  expect(await imageOf("api")).not.toBe(old);
  expect(await imageOf("worker")).toBe(await imageOf("api"));
  expect(await query("select count(*) from information_schema.columns where column_name = 'proof'")).toBe("1");
  expectBack(losses);
});

test("during a rollback the same is true, and the old version leaves the newer tables unchanged", async () => {
  const { losses } = await underLoad("rollback", false, async () => {
    await upOrThrow(prod);
    await replaced();
  });
  expectBack(losses);
});

test.each(["redis", "postgres"])(
  "during a restart of %s, requests may wait but none is lost, and a requested session is created only once",
  async (store) => {
    using _ = allowRefusals(`${store} is restarted, and no replica is ready until it has seen it again`);
    const label = { label: `${store}-${Date.now()}` };
    await underLoad(`restart of ${store}`, true, async () => {
      await inBerth(["delete", "pod", `${store}-0`, "--wait=false"]);
      const body = { tier: "small", labels: label };
      const made = await until("the API answers a create", 120, async () => {
        const response = await call(acme, "POST", "/v1/sessions", body, { "idempotency-key": label.label });
        return response.ok && ((await response.json()) as Session);
      });
      cleanUp.defer(() => end("acme", made.id));
      await rolledOut(`statefulset/${store}`);
      // This wait repeats failed calls, as the callers in the load do.
      await reaches(acme, made.id, "running", 120);
    });
    const rows = await query(`select count(*) from sessions where labels->>'label' = '${label.label}'`);
    expect(rows).toBe("1");
  },
);
