/**
 * Measures the time from `POST /v1/sessions`, which claims a warm session, until the session's pod has received its task.
 * This program acts as the pod: it requests the task by a long poll. The long poll and the POST go to different API
 * processes. Also measures how many claims one and two API processes make in a second from a full pool, with many clients, and
 * the CPU time of a claim.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { sessionToken } from "../../runtime/src/channel/token.ts";
import { podTemplateHash } from "../../runtime/src/domain/podTemplateHash.ts";
import { findImage, type PodImages } from "../../runtime/src/domain/sessionImages.ts";
import { parseTenants } from "../../runtime/src/domain/tenants.ts";
import { median, report } from "./report.ts";
import { call, cpuOf, startRuntime, tokenKey } from "./runtime.ts";

const [callPort, podPort] = [23_080, 23_090];
const claims = 100;
/** While the rate of claims is measured: how many claims are made at the same time, and how many in total. */
const [clients, many] = [16, 1_000];

const runtime = await startRuntime({ warmPools: { small: 1 } });
const database = runtime.database();

/** Returns the hash that marks a session in the database as a warm session of this version and config. */
function hashOf(): string {
  const tenant = parseTenants(readFileSync(runtime.env.TENANTS_FILE ?? "", "utf8")).tenants.get("bench");
  const images: PodImages = { agent: "agent", agentHasBerthd: true, berthd: "berthd", berthdVolume: "copy" };
  const image = tenant && findImage(tenant, images, null);
  if (tenant === undefined || image === undefined) throw new Error("the tenant has no image");
  return podTemplateHash(images, image, tenant);
}

/** Creates a session, and marks it in the database as running and warm. The session has no pod. */
async function createWarm(): Promise<string> {
  const { id } = await call<{ id: string }>(callPort, "POST", "/v1/sessions", { tier: "small" });
  await database.query("UPDATE sessions SET state = 'running', pod_ip = '127.0.0.1', warm = $2 WHERE id = $1", [
    id,
    hashOf(),
  ]);
  return id;
}

/** Fills the warm pool with sessions that have no pods. */
async function fill(): Promise<void> {
  await database.query(
    `INSERT INTO sessions (id, tenant, namespace, tier, state, pod_ip, warm, workspace_mode, started_at)
      SELECT gen_random_uuid(), 'bench', 'tenant-bench', 'small', 'running', '127.0.0.1', $1, 'ephemeral', now()
      FROM generate_series(1, $2)`,
    [hashOf(), many],
  );
  await database.query("VACUUM ANALYZE sessions");
}

/** Claims all sessions of the full warm pool through these API processes. Returns the claims per second. */
async function claimMany(...ports: number[]): Promise<number> {
  let next = 0;
  const began = performance.now();
  const client = async () => {
    while (next < many) {
      const port = ports[next++ % ports.length] ?? callPort;
      const { state } = await call<{ state: string }>(port, "POST", "/v1/sessions", {
        tier: "small",
        command: ["true"],
      });
      if (state !== "running") throw new Error("no warm session was claimed");
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return (many / (performance.now() - began)) * 1_000;
}

/** Requests the session's task as its pod does. Resolves with the time of the answer. */
async function takeTask(id: string): Promise<number> {
  const headers = { authorization: `Bearer ${sessionToken(tokenKey, id)}`, prefer: "wait=25" };
  const answer = await fetch(`http://127.0.0.1:${podPort + 2}/session/task`, { headers });
  await answer.json();
  if (answer.status !== 200) throw new Error(`GET /session/task: HTTP ${answer.status}`);
  return performance.now();
}

try {
  await database.connect();
  const api = await runtime.start("api", callPort);
  await runtime.start("api", podPort);
  const times = { claim: [] as number[], task: [] as number[] };
  for (let claim = 0; claim < claims; claim += 1) {
    const id = await createWarm();
    const task = takeTask(id);
    await sleep(100); // by then the API holds the long poll
    const began = performance.now();
    const made = await call<{ id: string }>(callPort, "POST", "/v1/sessions", { tier: "small", command: ["true"] });
    times.claim.push(performance.now() - began);
    if (made.id !== id) throw new Error("the warm session was not claimed");
    times.task.push((await task) - began);
  }
  report("warm-claim-ms", median(times.claim), "-");
  report("warm-claim-to-task-ms", median(times.task), "<=50");
  await fill();
  await claimMany(callPort, podPort); // warms both processes up
  await fill();
  const before = { api: cpuOf(api), postgres: runtime.databaseCpu() };
  const one = await claimMany(callPort);
  const cpu = { api: cpuOf(api) - before.api, postgres: runtime.databaseCpu() - before.postgres };
  report("warm-claims-per-second", one, "-");
  report("warm-claim-api-cpu-ms", cpu.api / many, "-");
  report("warm-claim-postgres-cpu-ms", cpu.postgres / many, "-");
  report("warm-claim-cpu-ms", (cpu.api + cpu.postgres) / many, "<=1.6");
  await fill();
  report("warm-claims-of-two-apis", (await claimMany(callPort, podPort)) / one, "-");
} finally {
  await database.end();
  await runtime.stop();
}
