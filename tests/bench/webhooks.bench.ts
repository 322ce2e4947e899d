/**
 * Measures webhooks of an API process and a worker process on this machine. The rate is compared with the rate of a bare client
 * that posts the same bodies to the same receivers, with as many connections. All receivers are in this process. The worker is
 * not the leader, because its Lease's namespace does not exist. So it only sends webhooks, and no session starts.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "@berth/testing/until.ts";
import { median, report } from "./report.ts";
import { call, startRuntime } from "./runtime.ts";

const [apiPort, workerPort, receiverPort] = [23_100, 23_110, 23_120];
const url = `http://127.0.0.1:${receiverPort}`;
const rounds = 5;
/** How many deliveries each round has. */
const deliveries = 5_000;
/** How many receivers each tenant has. Each event of the tenant goes to each of them. */
const receivers = { bench: 1, neighbour: 50 };
type Tenant = keyof typeof receivers;

/** The receivers of the tenant `neighbour` do not answer while this is true. */
let isHanging = false;
const hanging = new Set<ServerResponse>();
let got: { path: string; body: string; at: number }[] = [];
const connections = { open: 0, most: 0 };
const server = createServer((request, response) => {
  const path = request.url ?? "";
  if (isHanging && path.startsWith("/neighbour")) {
    hanging.add(response.on("close", () => hanging.delete(response)));
    return;
  }
  let body = "";
  request.setEncoding("utf8").on("data", (text) => {
    body += text;
  });
  request.on("end", () => {
    got.push({ path, body, at: performance.now() });
    response.end();
  });
});
server.on("connection", (socket) => {
  connections.open += 1;
  connections.most = Math.max(connections.most, connections.open);
  socket.on("close", () => {
    connections.open -= 1;
  });
});

const webhooksOf = (tenant: Tenant) => ({
  webhooks: Array.from({ length: receivers[tenant] }, (_, index) => ({
    url: `${url}/${tenant}/${index}`,
    secret: "a secret of the bench",
  })),
});
const runtime = await startRuntime(webhooksOf("bench"), webhooksOf("neighbour"));
const folder = mkdtempSync(join(tmpdir(), "berth-bench-"));
const database = runtime.database();

/** Adds an ended session with `count` events to the audit trail. */
async function addEvents(tenant: Tenant, count: number): Promise<void> {
  await database.query(
    `WITH session AS (
      INSERT INTO sessions (id, tenant, namespace, tier, state, ended_at)
      VALUES (gen_random_uuid(), $1::text, 'tenant-' || $1, 'small', 'stopped', now()) RETURNING id)
    INSERT INTO session_events (session_id, tenant, type, state, version, actor)
      SELECT id, $1, 'progress', 'starting', n, 'worker' FROM session, generate_series(1, $2::integer) AS n`,
    [tenant, count],
  );
}

/** Waits for as many deliveries as a round has. Returns them, and how many arrived per second. */
async function arrivals(): Promise<{ posts: typeof got; perSecond: number }> {
  await until(`${deliveries} deliveries`, 120, () => got.length >= deliveries);
  const posts = got;
  got = [];
  if (posts.length !== deliveries) throw new Error(`${posts.length} deliveries arrived, instead of ${deliveries}`);
  const [first, last] = [posts[0]?.at ?? 0, posts.at(-1)?.at ?? 0];
  return { posts, perSecond: (deliveries / (last - first)) * 1_000 };
}

async function ofBerth(tenant: Tenant): ReturnType<typeof arrivals> {
  await addEvents(tenant, deliveries / receivers[tenant]);
  return arrivals();
}

async function ofBareClient(posts: typeof got, connections: number): Promise<number> {
  const file = join(folder, "posts.json");
  writeFileSync(file, JSON.stringify(posts));
  const args = [join(import.meta.dirname, "bare-sender.ts"), url, file, String(connections)];
  const child = spawn(process.execPath, args, { stdio: "inherit" });
  const [{ perSecond }, [code]] = await Promise.all([arrivals(), once(child, "exit")]);
  if (code !== 0) throw new Error(`the bare client ended with code ${code}`);
  return perSecond;
}

/**
 * Creates sessions of the tenant `bench`, two per second. Returns the seconds from each POST to the session's first webhook.
 */
async function delays(count: number): Promise<number[]> {
  const all: number[] = [];
  for (let made = 0; made < count; made += 1) {
    const began = performance.now();
    const { id } = await call<{ id: string }>(apiPort, "POST", "/v1/sessions", { tier: "small" });
    const { at } = await until("the webhook of a session", 30, () => got.find(({ body }) => body.includes(id)));
    all.push((at - began) / 1_000);
    await sleep(500);
  }
  got = [];
  return all;
}

/** How many transactions Postgres has counted. Each statement of the worker is one. */
async function transactions(): Promise<number> {
  await sleep(11_000); // a connection reports its transactions at the latest when it was idle for 10 s
  const { rows } = await database.query("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()");
  return Number(rows[0].xact_commit);
}

try {
  server.listen(receiverPort, "127.0.0.1");
  await database.connect();
  await runtime.start("api", apiPort);
  const changes = { LEASE_NAMESPACE: "berth-bench-without-leader", WEBHOOK_ALLOW_PRIVATE: "true" };
  await runtime.start("worker", workerPort, changes);
  const before = await transactions();
  for (const tenant of ["bench", "neighbour"] as const) {
    await ofBerth(tenant); // so that the code is compiled
    const ratios: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      connections.most = connections.open;
      const { posts, perSecond } = await ofBerth(tenant);
      const { most } = connections;
      const barePerSecond = await ofBareClient(posts, most);
      console.error(
        `  ${receivers[tenant]} receivers: ${barePerSecond.toFixed(0)} posts/s by a client without Berth, ${perSecond.toFixed(0)} posts/s by the worker,`,
        `${most} connections`,
      );
      ratios.push(perSecond / barePerSecond);
    }
    report(`webhooks-to-${receivers[tenant]}-over-bare-client`, median(ratios), ">=0.8");
  }
  const sent = Object.keys(receivers).length * (rounds + 1) * deliveries;
  report("webhook-transactions-per-delivery", ((await transactions()) - before) / sent, "<=0.1");

  report("webhook-delay-seconds", median(await delays(40)), "-");
  isHanging = true;
  await addEvents("neighbour", 100);
  await until("the receivers hang", 30, () => hanging.size >= receivers.neighbour);
  const beside = await delays(40); // during this time the attempts fail, and the receivers count as dead
  report("webhook-delay-beside-50-hanging-seconds", median(beside), "-");
  report("webhook-delay-beside-50-hanging-seconds-max", Math.max(...beside), "<=2");
} finally {
  server.close();
  server.closeAllConnections();
  await database.end();
  await runtime.stop();
  rmSync(folder, { recursive: true });
}
