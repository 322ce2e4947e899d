/**
 * Measures commands and file transfers through the API, and compares them with the simplest possible replacements. A server
 * without checks replaces berthd, the program in a session's pod. In the comparison of commands, one committed database row
 * replaces the API's work. In the comparison of file transfers, a TCP forwarder replaces the API. All these programs, also
 * the real API and berthd, are processes on this machine. Commands are also compared with `kubectl exec`, which uses the local
 * cluster.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { until } from "@berth/testing/until.ts";
import { program } from "../../local/cluster/build.ts";
import { goBuild } from "../../local/lib/go.ts";
import { machine, root } from "../../machine/machine.ts";
import { sessionToken } from "../../runtime/src/channel/token.ts";
import { median, report } from "./report.ts";
import { call, key, memoryOf, neighbourKey, startRuntime, tokenKey } from "./runtime.ts";

const [apiPort, barePort, forwarderPort] = [23_060, 23_070, 23_071];
/** The port at which berthd serves in every pod. */
const berthdPort = 6082;
const rounds = 5;
const commandsPerRound = 200;
const file = { mib: 1024, name: "big" };
/** The pod of the local cluster in which kubectl runs its commands. */
const execPod = ["--namespace", "berth", "postgres-0"];

const agent = new Agent({ keepAlive: true });
const json = { "content-type": "application/json" };
const authorized = (secret: string) => ({ authorization: `Bearer ${secret}` });

/**
 * Sends a request and reads the whole response. Throws an error if the request fails. Returns the number of received bytes.
 */
async function exchange(
  url: string,
  method: string,
  headers: Record<string, string | number> = {},
  body: Readable | string = "",
): Promise<number> {
  const asked = request(url, { method, headers, agent });
  const answered = once(asked, "response") as Promise<[IncomingMessage]>;
  const [[answer]] = await Promise.all([answered, pipeline(typeof body === "string" ? [body] : body, asked)]);
  let bytes = 0;
  for await (const piece of answer) bytes += (piece as Buffer).length;
  if (answer.statusCode !== 200) throw new Error(`${method} ${url}: ${answer.statusCode}`);
  return bytes;
}

/** Runs the work several times, one run after another. Returns the milliseconds of each run. */
async function times(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const all: number[] = [];
  for (let done = 0; done < count; done += 1) {
    const began = performance.now();
    await work();
    all.push(performance.now() - began);
  }
  return all;
}

const p99 = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? Number.NaN;

const piece = Buffer.alloc(1024 * 1024, "x");
function* pieces(): Generator<Buffer> {
  for (let sent = 0; sent < file.mib; sent += 1) yield piece;
}

const children: ChildProcess[] = [];
async function start(
  command: string,
  args: string[],
  says: string,
  env = process.env,
  cwd = root,
): Promise<ChildProcess> {
  const child = spawn(command, args, { env, cwd, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (log += data));
  await until(`${command} says "${says}"`, 30, () => log.includes(says));
  return child;
}

const runtime = await startRuntime();
const folder = mkdtempSync(join(tmpdir(), "berth-bench-pod-"));
const database = runtime.database();
try {
  console.error("  building berthd and the bare server");
  await goBuild(join(root, "images/berthd"), folder, ["."]);
  await goBuild(join(import.meta.dirname, "bare-pod-server"), folder, ["."]);
  await database.connect();
  await database.query(
    "CREATE TABLE bare_commands (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), what text)",
  );
  const api = await runtime.start("api", apiPort);
  const { id } = await call<{ id: string }>(apiPort, "POST", "/v1/sessions", { tier: "small" });
  await database.query("UPDATE sessions SET state = 'running', pod_ip = '127.0.0.1' WHERE id = $1", [id]);
  writeFileSync(join(folder, "token"), `${sessionToken(tokenKey, id)}\n`);
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    BERTH_TOKEN_FILE: join(folder, "token"),
    BERTH_DESKTOP: "no",
    BERTH_WORKSPACE: folder,
    BERTH_METRICS_PORT: "0",
    BERTH_SERVICE_PORT: `${berthdPort}`,
  };
  const berthd = await start(join(folder, "berthd"), ["session"], `services at port ${berthdPort}`, env, folder);
  await start(join(folder, "bare-pod-server"), [`${barePort}`, join(folder, file.name)], "listening");
  const forwarder = join(import.meta.dirname, "bare-forwarder.ts");
  await start(process.execPath, [forwarder, `${forwarderPort}`, "127.0.0.1", `${barePort}`], "listening");

  const session = `http://127.0.0.1:${apiPort}/v1/sessions/${id}`;
  const headers = { ...authorized(key), ...json };
  const command = () => exchange(`${session}/commands`, "POST", headers, '{"command":["true"]}');
  const bareCommand = async () => {
    await exchange(`http://127.0.0.1:${barePort}/run`, "POST", json, '["true"]');
    await database.query("INSERT INTO bare_commands (what) VALUES ('true')");
  };
  const kubectl = () =>
    promisify(execFile)(program("kubectl"), [`--kubeconfig=${machine.kubeconfig}`, "exec", ...execPod, "--", "true"]);
  for (const work of [command, bareCommand]) await times(100, work); // so that all code is compiled and all connections are open

  // Each round measures all three, because the load of other work on the machine changes.
  const ratios = { bare: [] as number[], kubectl: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    const least = median(await times(commandsPerRound, bareCommand));
    const ours = median(await times(commandsPerRound, command));
    const exec = median(await times(5, kubectl));
    console.error(`  bare ${least.toFixed(2)} ms, API ${ours.toFixed(2)} ms, kubectl exec ${exec.toFixed(0)} ms`);
    ratios.bare.push(ours / least);
    ratios.kubectl.push(ours / exec);
  }
  report("command-over-bare", median(ratios.bare), "<=2");
  report("command-over-kubectl-exec", median(ratios.kubectl), "<=0.2");

  /**
   * Runs a transfer. Returns its MiB per second, the milliseconds of each GET request that another tenant sends during the
   * transfer, and the memory growth of the API and of berthd in MiB.
   */
  const transfer = async (work: () => Promise<unknown>) => {
    const before = [memoryOf(api), memoryOf(berthd)];
    const most = [...before];
    const began = performance.now();
    let over = false;
    const done = work().finally(() => (over = true));
    const reads: number[] = [];
    const url = `http://127.0.0.1:${apiPort}/v1/sessions?limit=1`;
    while (!over) {
      reads.push(...(await times(1, () => exchange(url, "GET", authorized(neighbourKey)))));
      [api, berthd].forEach((process, index) => {
        most[index] = Math.max(most[index] ?? 0, memoryOf(process));
      });
    }
    await done;
    const rate = file.mib / ((performance.now() - began) / 1000);
    return { rate, reads, grown: most.map((value, index) => value - (before[index] ?? 0)) };
  };
  const length = { "content-length": file.mib * piece.length };
  const [ours, least] = [`${session}/files?path=${file.name}`, `http://127.0.0.1:${forwarderPort}/file`];
  const directions = {
    up: (url: string) =>
      exchange(
        url,
        "PUT",
        { ...authorized(key), "content-type": "application/octet-stream", ...length },
        Readable.from(pieces()),
      ),
    down: async (url: string) => {
      const bytes = await exchange(url, "GET", authorized(key));
      if (bytes !== length["content-length"]) throw new Error(`${bytes} bytes of the file were received`);
    },
  };
  for (const [direction, work] of Object.entries(directions)) {
    const rates: number[] = [];
    const reads = { api: [] as number[], bare: [] as number[] };
    const grown: number[][] = [];
    for (let round = 0; round < rounds; round += 1) {
      const bare = await transfer(() => work(least));
      const through = await transfer(() => work(ours));
      console.error(
        `  ${direction}: forwarder ${bare.rate.toFixed(0)} MiB/s, API ${through.rate.toFixed(0)} MiB/s,`,
        `a neighbour's GET p99 ${p99(bare.reads).toFixed(1)} and ${p99(through.reads).toFixed(1)} ms`,
      );
      rates.push(through.rate / bare.rate);
      reads.bare.push(...bare.reads);
      reads.api.push(...through.reads);
      grown.push(through.grown);
    }
    report(`file-${direction}-over-forwarder`, median(rates), ">=0.8");
    report(`file-${direction}-neighbour-get-p99`, p99(reads.api) / p99(reads.bare), "<=1.3");
    // The first round warms up both variants. Only the memory growth in later rounds is caused by the transfers alone.
    const later = grown.slice(1);
    report(`file-${direction}-api-mib`, Math.max(...later.map(([value = 0]) => value)), "<=64");
    report(`file-${direction}-berthd-mib`, Math.max(...later.map(([, value = 0]) => value)), "<=64");
  }
} finally {
  for (const child of children) child.kill();
  await database.end();
  await runtime.stop();
  rmSync(folder, { recursive: true, force: true });
}
