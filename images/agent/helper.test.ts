/** The session's helper, run for real, between an HTTP server in the runtime's place and an X server that knows three requests. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, createServer as createSocketServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test, vi } from "vitest";

// Processes start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const programs = join(import.meta.dirname, "files/usr/local/bin");
const token = "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11.proof";

interface Call {
  what: string;
  authorization: string | undefined;
  body: unknown;
}

interface Setup {
  /** What the runtime answers: a status and a body. Default: the task, and 204 for the rest. */
  answer?: (what: string) => { status: number; headers?: Record<string, string>; body?: unknown } | undefined;
  task?: { command: string[] | null; env?: Record<string, string>; secrets?: Record<string, string> };
  /** Whether the pod is told where the runtime is. Default true. */
  connected?: boolean;
  /** Milliseconds that the X server says nobody has typed for. Default 4000. */
  idle?: number;
}

async function open({ answer, task, connected = true, idle = 4_000 }: Setup = {}) {
  const folder = mkdtempSync(join(tmpdir(), "berth-helper-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const what = `${request.method} ${request.url}`;
      calls.push({ what, authorization: request.headers.authorization, body: await bodyOf(request) });
      const full = { env: {}, secrets: {}, ...(task ?? { command: null }) };
      const { status, headers, body } =
        answer?.(what) ?? (what === "GET /session/task" ? { status: 200, headers: {}, body: full } : { status: 204 });
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    })().catch((error) => {
      // A helper that is being ended may leave its request half sent.
      if (error.code !== "ECONNRESET") throw error;
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  writeFileSync(join(folder, "token"), `${token}\n`);

  const env = {
    PATH: `${programs}:${process.env.PATH}`,
    DISPLAY: await xServer(idle),
    XDG_RUNTIME_DIR: folder,
    BERTH_TOKEN_FILE: join(folder, "token"),
    BERTH_METRICS_PORT: "0",
    BERTH_REPORT_SECONDS: "0.1",
    http_proxy: "http://127.0.0.1:1",
    ...(connected && { BERTH_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }),
  };
  return {
    folder,
    calls,
    env,
    showDesktop: () => writeFileSync(join(folder, "window-manager"), ""),
    seen: (what: string) => calls.filter((call) => call.what === what),
    run(program: string, args: string[] = [], more: Record<string, string> = {}) {
      const child = spawn(join(programs, program), args, { env: { ...env, ...more }, cwd: folder });
      const exit = exitOf(child);
      onTestFinished(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill("SIGTERM");
        await exit;
      });
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
      return { child, output: () => output, exit };
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const text = Buffer.concat(await request.toArray()).toString();
  return text === "" ? undefined : JSON.parse(text);
}

async function exitOf(child: ChildProcess): Promise<number | string> {
  const [code, signal] = await once(child, "close");
  return code ?? signal;
}

/** An X server with one screen and a screen saver, which is idle for so many milliseconds. Returns its display. */
async function xServer(idle: number): Promise<string> {
  // As X servers make it: a later test of another user must be able to listen there too.
  if (mkdirSync("/tmp/.X11-unix", { recursive: true }) !== undefined) chmodSync("/tmp/.X11-unix", 0o1777);
  const display = 1_000 + Math.floor(Math.random() * 1_000_000);
  const server = createSocketServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      // Vendor "ab" (padded to 4), one pixel format, and the root window 0x123 of the first screen.
      const setup = Buffer.alloc(8 + 32 + 4 + 8 + 40);
      setup.writeUInt8(1, 0);
      setup.writeUInt16LE((setup.length - 8) / 4, 6);
      setup.writeUInt16LE(2, 24);
      setup.writeUInt8(1, 28);
      setup.writeUInt8(1, 29);
      setup.writeUInt32LE(0x123, 52);
      socket.write(setup);
      socket.on("data", (request) => {
        const reply = Buffer.alloc(32);
        reply.writeUInt8(1, 0);
        const event = Buffer.alloc(32, 2); // something that nobody asked for comes before
        if (request.readUInt8(0) === 98) {
          expect(request.subarray(8, 24).toString()).toBe("MIT-SCREEN-SAVER");
          reply.writeUInt8(1, 8);
          reply.writeUInt8(144, 9);
        } else {
          expect([request.readUInt8(0), request.readUInt8(1), request.readUInt32LE(4)]).toEqual([144, 1, 0x123]);
          reply.writeUInt32LE(idle, 16);
        }
        socket.write(Buffer.concat([event, reply]));
      });
    });
  });
  server.listen(`/tmp/.X11-unix/X${display}`);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `:${display}`;
}

/** The port of the helper's metrics, as it says when it starts: tests let the kernel choose one. */
const metricsPort = async (output: () => string) =>
  Number(
    await until("the helper names the port of its metrics", 30, () => /metrics are at port (\d+)/.exec(output())?.[1]),
  );

test("the command runs in the workspace with its environment and secrets; its end is told and its code kept", async () => {
  const command = ["sh", "-c", 'echo "$PLAIN $HIDDEN" >out; pwd >>out; exit 7'];
  const { folder, calls, seen, showDesktop, run } = await open({
    task: { command, env: { PLAIN: "plain" }, secrets: { HIDDEN: "hunter2" } },
  });
  showDesktop();
  const { exit, output } = run("berth-session");
  expect(await exit).toBe(7);
  expect(readFileSync(join(folder, "out"), "utf8")).toBe(`plain hunter2\n${folder}\n`);
  expect(readFileSync(join(folder, "command-exit"), "utf8")).toBe("7");
  const ends = seen("POST /session/activity").filter(({ body }) => JSON.stringify(body).includes("ended"));
  expect(ends.map(({ body }) => body)).toEqual([{ idleSeconds: 0, command: "ended", exitCode: 7 }]);
  expect(new Set(calls.map(({ authorization }) => authorization))).toEqual(new Set([`Bearer ${token}`]));
  expect(seen("GET /session/task")).toHaveLength(1);
  expect(output()).not.toContain("hunter2");
  for (const name of readdirSync(folder).filter((name) => name !== "out")) {
    expect(readFileSync(join(folder, name), "utf8"), name).not.toContain("hunter2");
  }
});

test("ready is told once the screen can be looked at, and then when it was last used", async () => {
  const { seen, calls, showDesktop, run } = await open({ idle: 4_000 });
  const helper = run("berth-session");
  await metricsPort(helper.output);
  await sleep(200); // nothing may be told, though it looks for a screen every 50 ms
  expect(calls).toEqual([]);
  showDesktop();
  // Before the runtime has said what the task is, the command is "waiting".
  const bodies = () => seen("POST /session/activity").map(({ body }) => body as { command: string });
  await until(
    "the activity is told twice, and that there is no command",
    30,
    bodies,
    (told) => told.length >= 2 && told.at(-1)?.command !== "waiting",
  );
  expect(seen("POST /session/ready")).toHaveLength(1);
  expect(seen("POST /session/activity").at(-1)?.body).toEqual({ idleSeconds: 4, command: "none" });
});

test("a runtime that is away, errs or has no task yet is asked again; meanwhile the helper stays", async () => {
  let asked = 0;
  const { folder, showDesktop, run } = await open({
    task: { command: ["touch", "done"] },
    answer: (what) => {
      if (what !== "GET /session/task") return undefined;
      asked += 1;
      if (asked === 1) return { status: 503, body: { detail: "The database can't be reached" } };
      return asked === 2 ? { status: 404, body: { detail: "There is no session" } } : undefined;
    },
  });
  showDesktop();
  const { exit, output } = run("berth-session");
  expect(await exit).toBe(0);
  expect(existsSync(join(folder, "done"))).toBe(true);
  expect(output()).toContain("503 The database can't be reached; trying again");

  const away = await open();
  away.showDesktop();
  const helper = away.run("berth-session", [], { BERTH_URL: "http://127.0.0.1:1" });
  await until("the helper tries again", 30, helper.output, (said) => said.includes("trying again"));
  expect(helper.child.exitCode).toBeNull();
});

test("without an address of the runtime, or without a command, the helper just stays and ends when told to", async () => {
  for (const setup of [{ connected: false }, { connected: true }]) {
    const { seen, showDesktop, run } = await open(setup);
    showDesktop();
    const { child, exit, output } = run("berth-session");
    await until(
      "the helper stays",
      30,
      () => ({ output: output(), told: seen("POST /session/activity").length }),
      ({ output, told }) => output.includes("just the desktop") || told > 0,
    );
    child.kill("SIGTERM");
    expect(await exit).toBe(0);
  }
});

test("on SIGTERM the command, and what it started, may end in its own way", async () => {
  const script = 'trap "echo bye >out; exit 3" TERM; touch started; while :; do sleep 0.1; done';
  const { folder, showDesktop, run } = await open({ task: { command: ["sh", "-c", script] } });
  showDesktop();
  const { child, exit } = run("berth-session");
  await until("the command has started", 30, () => existsSync(join(folder, "started")));
  child.kill("SIGTERM");
  expect(await exit).toBe(0);
  expect(readFileSync(join(folder, "out"), "utf8")).toBe("bye\n");
});

test("a command that can't be started, or is killed, ends with the code that a shell would give", async () => {
  for (const [command, code] of [
    [["/nothing/here"], 127],
    [["./token"], 126],
    [["sh", "-c", "kill -9 $$"], 137],
  ] as const) {
    const { folder, showDesktop, run } = await open({ task: { command: [...command] } });
    chmodSync(join(folder, "token"), 0o600);
    showDesktop();
    expect(await run("berth-session").exit, command.join(" ")).toBe(code);
  }
});

test("a helper that is started again after a crash doesn't run the command a second time", async () => {
  const { folder, showDesktop, run, seen } = await open({
    task: { command: ["sh", "-c", "echo $$ >>pids; exec sleep 60"] },
  });
  const pids = () => (existsSync(join(folder, "pids")) ? readFileSync(join(folder, "pids"), "utf8") : "");
  showDesktop();
  const first = run("berth-session");
  await until("the command has written its pid", 30, pids, (text) => text.endsWith("\n"));
  const pid = Number(pids());
  onTestFinished(() => void process.kill(pid, "SIGKILL"));
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  const before = seen("POST /session/ready").length;
  const second = run("berth-session");
  await until("the second helper leaves the command alone", 30, second.output, (said) =>
    said.includes("the command is not"),
  );
  await until(
    "the second helper says that the desktop is ready",
    30,
    () => seen("POST /session/ready").length,
    (times) => times > before,
  );
  expect(pids()).toBe(`${pid}\n`);
});

test("metrics tell that the session is up, its command's state and its last activity, and no id", async () => {
  const { showDesktop, run, seen } = await open({ task: { command: ["sleep", "60"] }, idle: 100_000 });
  showDesktop();
  const port = await metricsPort(run("berth-session").output);
  await until("the activity is told", 30, () => seen("POST /session/activity").length > 0);
  const metrics = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    return { type: answer.headers.get("content-type"), text: await answer.text() };
  };
  const { type, text } = await until("the command has left its first state", 30, metrics, (seen) =>
    seen.text.includes('session_command{state="waiting"} 0\n'),
  );
  expect(type).toContain("text/plain; version=0.0.4");
  expect(text).toContain("session_up 1\n");
  expect(text).toContain('session_command{state="running"} 1\n');
  expect(text).toContain('session_command{state="none"} 0\n');
  const last = Number(/^session_last_activity_timestamp_seconds (\S+)$/m.exec(text)?.[1]);
  expect(Math.abs(last - (Date.now() / 1000 - 100))).toBeLessThan(30);
  expect(text).not.toContain(token.slice(0, 36));
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
});

test("where the runtime says when to ask again, that is when, however often", async () => {
  let early = 3;
  const { seen, run, folder, showDesktop } = await open({
    task: { command: ["touch", "ran"] },
    answer: (what) => {
      if (what !== "GET /session/task" || early === 0) return undefined;
      early -= 1;
      return { status: 409, headers: { "retry-after": "1" }, body: { detail: "The session is nobody's yet." } };
    },
  });
  showDesktop();
  const helper = run("berth-session");
  expect(await helper.exit).toBe(0);
  expect(existsSync(join(folder, "ran"))).toBe(true);
  expect(seen("GET /session/task")).toHaveLength(4);
  expect(helper.output().match(/nobody's yet/g)).toHaveLength(1);
});

test("the agent tells how far it is; what is wrong with it is said, and a busy runtime is asked again", async () => {
  let busy = true;
  const { seen, run } = await open({
    answer: (what) => {
      if (what !== "POST /session/progress") return undefined;
      if (seen(what).at(-1)?.body instanceof Object && JSON.stringify(seen(what).at(-1)?.body).includes("wrong")) {
        return { status: 400, body: { detail: "percent must be at most 100." } };
      }
      const now = busy;
      busy = false;
      return { status: now ? 503 : 204 };
    },
  });
  // A 503 without Retry-After is final, and so is a 400.
  expect(await run("berth-progress", ["Reading", "40"]).exit).toBe(1);
  expect(await run("berth-progress", ["Reading", "40"]).exit).toBe(0);
  expect(seen("POST /session/progress").at(-1)?.body).toEqual({ message: "Reading", percent: 40 });
  const wrong = run("berth-progress", ["wrong", "400"]);
  expect(await wrong.exit).toBe(1);
  expect(wrong.output()).toBe("berth-progress: 400 percent must be at most 100.\n");
  const usage = run("berth-progress");
  expect(await usage.exit).toBe(1);
  expect(usage.output()).toContain("usage");
});
