/**
 * The gateway has its own pods, so neither a restart nor the end of the API interrupts a desktop, command or transfer. If
 * the gateway itself is killed, commands continue, clients can attach to the commands again, and an interrupted upload
 * leaves no partial file.
 */
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { until } from "@berth/testing/until.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { apiUrl, call, keyOf, type Session } from "../berth.ts";
import { deploy, type StackFile } from "../pulumi.ts";
import { allowRefusals } from "../refusals.ts";
import { inBerth, rolledOut } from "./platform.ts";
import { type Component, podsOf, processOf } from "./processes.ts";
import { end, running } from "./sessions.ts";
import { Viewer } from "./viewer.ts";

const acme = keyOf("acme");
const authorization = { authorization: `Bearer ${acme}` };

const cleanUp = new AsyncDisposableStack();
let session: Session;
let path = "";

beforeAll(async () => {
  const change = (file: StackFile) => {
    file.config["berth:gateway"] = { autoscaling: { min: 1, max: 1 } };
  };
  await deploy(cleanUp, { change });
  session = await running("acme");
  cleanUp.defer(() => end("acme", session.id));
  path = `/v1/sessions/${session.id}`;
});

afterAll(() => cleanUp.disposeAsync());

const namesOf = async (name: Component) =>
  (await inBerth(["get", "pods", `--selector=app.kubernetes.io/name=${name}`, "--output=name"])).trim().split("\n");

/** Replaces the pods of the Deployment, and waits until the old pods have ended. */
async function restart(name: Component): Promise<void> {
  const old = await namesOf(name);
  await inBerth(["rollout", "restart", `deployment/${name}`]);
  await rolledOut(`deployment/${name}`);
  await until(
    `the old pods of ${name} are gone`,
    90,
    () => namesOf(name),
    (pods) => !pods.some((pod) => old.includes(pod)),
  );
}

/** Kills the component's processes, which the kubelet starts again. */
async function kill(name: Component): Promise<void> {
  const pids = (await podsOf(name)).map(processOf);
  expect(pids.length).toBeGreaterThan(0);
  for (const pid of pids) {
    if (pid === undefined) throw new Error(`a pod of ${name} has no process on this machine`);
    process.kill(pid, "SIGKILL");
  }
}

/**
 * Starts an upload that sends a block every 200 ms until the caller calls `end`. `answer` resolves with the status of the
 * response. `sent` returns the number of bytes sent so far.
 */
function upload(file: string) {
  const block = Buffer.alloc(256 * 1024, "x");
  let sent = 0;
  const sending: ClientRequest = request(new URL(`${path}/files?path=${file}`, apiUrl), {
    method: "PUT",
    agent: false,
    headers: { ...authorization, "content-type": "application/octet-stream" },
  });
  const send = () => {
    sending.write(block);
    sent += block.length;
  };
  send();
  const timer = setInterval(send, 200);
  sending.on("close", () => clearInterval(timer));
  const answer = once(sending, "response").then(([response]: IncomingMessage[]) => response?.statusCode);
  answer.catch(() => {});
  return {
    answer,
    sent: () => sent,
    end: () => {
      clearInterval(timer);
      sending.end();
    },
  };
}

/** Begins a download and reads its first bytes. `rest` reads the other bytes and resolves with the number of all bytes. */
async function download(file: string) {
  const answer = await call(acme, "GET", `${path}/files?path=${file}`);
  const reader = answer.body?.getReader();
  let bytes = (await reader?.read())?.value?.length ?? 0;
  return {
    rest: async () => {
      for (let next = await reader?.read(); next?.value !== undefined; next = await reader?.read())
        bytes += next.value.length;
      return bytes;
    },
  };
}

/**
 * Opens a stream of Server-Sent Events. `text` returns what the stream has sent so far. `ended` resolves when the stream has
 * ended.
 */
function listen(to: string, headers: Record<string, string> = {}) {
  let text = "";
  let isOpen = true;
  const ended = fetch(new URL(to, apiUrl), { headers: { ...authorization, ...headers } })
    .then(async ({ body }) => {
      for await (const chunk of body ?? []) text += Buffer.from(chunk).toString();
    })
    .catch(() => {})
    .finally(() => {
      isOpen = false;
    });
  return { ended, text: () => text, isOpen: () => isOpen };
}

interface OutputEvent {
  position: number;
  text: string;
}

/** Returns the texts of the output in the events. `position` is the position in the output after the event's text. */
const outputOf = (events: string): OutputEvent[] =>
  events.split("\n\n").flatMap((event) => {
    const [, position] = /^id: (\d+)$/m.exec(event) ?? [];
    const [, data] = /^data: (.*)$/m.exec(event) ?? [];
    const { text } = data === undefined ? {} : (JSON.parse(data) as { text?: string });
    return position === undefined || text === undefined ? [] : [{ position: Number(position), text }];
  });

const sizeOf = async (file: string) => {
  const answer = await call(acme, "GET", `${path}/files/info?path=${file}`);
  return answer.status === 200 ? ((await answer.json()) as { size: number }).size : answer.status;
};

test("a restart of the API interrupts no desktop, command, stream, upload or download", async () => {
  const viewer = await Viewer.open("acme", session.id);
  cleanUp.defer(async () => viewer.leave());
  const events = listen("/v1/events");
  await until("the stream has begun", 30, () => events.text() !== "");
  const waited = call(acme, "POST", `${path}/commands`, {
    command: ["sh", "-c", "until [ -e go ]; do sleep 0.1; done; echo ended"],
  });
  const sending = upload("kept");
  const size = 256 * 1024 * 1024; // far more than the connections can buffer
  expect((await call(acme, "POST", `${path}/commands`, { command: ["truncate", `--size=${size}`, "large"] })).ok).toBe(
    true,
  );
  const receiving = await download("large");

  await restart("api");

  const before = sending.sent();
  await until("the upload continues", 10, () => sending.sent() > before);
  sending.end();
  expect(await sending.answer).toBe(200);
  expect(await sizeOf("kept")).toBe(sending.sent());
  expect(await receiving.rest()).toBe(size);
  const made = await call(acme, "POST", `${path}/commands`, { command: ["touch", "go"] });
  expect(made.status).toBe(200);
  expect(await (await waited).json()).toMatchObject({ exitCode: 0, stdout: "ended\n" });
  expect(events.isOpen()).toBe(true);
  expect([viewer.codes, viewer.losses]).toEqual([[], []]);
  viewer.leave();
});

test("when the API and then the gateway are killed, a command continues and a client can attach again, and an upload leaves no partial file", async () => {
  const started = await call(acme, "POST", `${path}/processes`, {
    command: ["sh", "-c", "n=0; until [ -e stop ]; do n=$((n+1)); echo $n; sleep 0.05; done"],
  });
  const { id } = (await started.json()) as { id: number };
  const output = `${path}/processes/${id}/output`;
  const first = listen(output);
  const sending = upload("cut");
  await until(
    "command and upload continue",
    30,
    () => outputOf(first.text()).length > 10 && sending.sent() > 1_000_000,
  );

  using _ = allowRefusals("the processes of the API and then of the gateway are killed");
  await kill("api");
  const before = { lines: outputOf(first.text()).length, sent: sending.sent() };
  await until(
    "both go on without the API",
    30,
    () => outputOf(first.text()).length > before.lines + 10 && sending.sent() > before.sent + 1_000_000,
  );
  expect(first.isOpen()).toBe(true);
  await kill("gateway");
  await first.ended;
  await expect(sending.answer).rejects.toThrow();
  await until(
    "the gateway serves again",
    60,
    () => call(acme, "GET", `${path}/processes/${id}`).catch((error: Error) => error),
    (answer) => answer instanceof Response && answer.status === 200,
  );

  const { position = 0 } = outputOf(first.text()).at(-1) ?? {};
  const second = listen(output, { "last-event-id": String(position) });
  await until("the output continues", 30, () => outputOf(second.text()).length > 10);
  await call(acme, "POST", `${path}/commands`, { command: ["touch", "stop"] });
  await second.ended;
  const lines = [first, second].flatMap(({ text }) => outputOf(text()).map((event) => event.text)).join("");
  expect(lines).toBe(
    lines
      .trim()
      .split("\n")
      .map((_line, at) => `${at + 1}\n`)
      .join(""),
  );

  expect(await sizeOf("cut")).toBe(404);
  const names = async () => {
    const answer = await call(acme, "POST", `${path}/commands`, { command: ["ls", "-A"] });
    return ((await answer.json()) as { stdout: string }).stdout.split("\n");
  };
  // berthd writes an upload into a file with this prefix, and removes the file after an error.
  await until(
    "nothing is left of the upload",
    30,
    names,
    (found) => found.includes("stop") && !found.some((name) => /^cut$|^\.berth-part-/.test(name)),
  );
  const again = upload("cut");
  await until("a part of the file is sent", 30, () => again.sent() > 1_000_000);
  again.end();
  expect(await again.answer).toBe(200);
  expect(await sizeOf("cut")).toBe(again.sent());
  await until("the API serves", 60, async () => (await call(acme, "GET", path)).ok);
});

test("a gateway that is replaced tells its desktop clients to reconnect, and they do", async () => {
  const viewer = await Viewer.open("acme", session.id);
  cleanUp.defer(async () => viewer.leave());
  await restart("gateway");
  await until("the viewer is back", 60, () => viewer.losses.length === 1 && viewer.isConnected);
  expect(viewer.codes).toEqual([1012]);
  viewer.leave();
});
