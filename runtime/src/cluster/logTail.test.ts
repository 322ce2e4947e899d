import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { session, silent } from "../testing/fixtures.ts";
import { keptBytes, lastLine, logTail, withoutTimes } from "./logTail.ts";

const time = "2026-11-28T11:00:00.123456789Z";
/** A pod with this log. Like Kubernetes, it returns as many of the last lines as the caller asks for. */
const podWith = (lines: string[], chunkLength = 64 * 1024) => ({
  logs: async (_session: unknown, { tail }: { tail: number }) => {
    const log = Buffer.from(lines.slice(-tail).join(""));
    const chunks = Array.from({ length: Math.ceil(log.length / chunkLength) }, (_, index) =>
      log.subarray(index * chunkLength, (index + 1) * chunkLength),
    );
    return Readable.from(chunks) as IncomingMessage;
  },
});
const kept = (...log: Parameters<typeof podWith>) => logTail(podWith(...log), session(), silent);

/** The last 64 KiB of the agent's output. */
const written = (lines: string[]) => withoutTimes(lines.join("")).slice(-keptBytes);

test("a short log is kept unchanged", async () => {
  const short = [`${time} one\n`, `${time} two\n`];
  expect(await kept(short, 40)).toBe(short.join(""));
  expect(await kept([])).toBe("");
});

test.each([
  ["lines of a kilobyte", 1_000, 1_000],
  ["lines so short that their times take more room than they do", 10_000, 20],
  ["empty lines", 70_000, 0],
])("the last 64 KiB of a long log are kept, each line with its time: %s", async (_, count, length) => {
  const lines = Array.from(
    { length: count },
    (_, number) => `${time} ${String(number).repeat(20).slice(0, length)}${"x".repeat(Math.max(0, length - 20))}\n`,
  );
  const log = await kept(lines);
  expect(withoutTimes(log)).toBe(written(lines));
  const [first, ...others] = log.split(/(?<=\n)/);
  expect(first).toMatch(/^(… |2026-)/);
  expect(others.filter((line) => !line.startsWith(`${time} `))).toEqual([]);
});

test.each([
  ["its end, with a newline", "x\n"],
  ["its end, without one", "x"],
  ["characters of several bytes", "ä"],
])("of a last line that is longer than what is kept the end stays: %s", async (_, end) => {
  const line = `${"xä".repeat(400_000)} No such file ${end}`;
  const log = await kept([`${time} one\n`, `${time} ${line}`]);
  expect(log.startsWith("… ")).toBe(true);
  expect(line.endsWith(withoutTimes(log))).toBe(true);
  expect(Buffer.byteLength(withoutTimes(log))).toBeGreaterThan(keptBytes - 4);
  expect(lastLine(log)?.endsWith(`No such file ${end}`.trim())).toBe(true);
});

test("a line that is too long does not push out the lines before it", async () => {
  const lines = [`${time} ${"x".repeat(100_000)}\n`, `${time} berth-session: the command ended with code 2\n`];
  const log = await kept(lines);
  expect(withoutTimes(log)).toBe(written(lines));
  expect(lastLine(log)).toMatch(/^x+$/);
});

test("if a later part of the log can't be read, the earlier part is kept", async () => {
  const lines = Array.from({ length: 3_000 }, () => `${time} ok\n`);
  const pod = podWith(lines);
  const logs: typeof pod.logs = (session, options) =>
    options.tail > 2_000 ? Promise.reject(new Error("the node does not answer")) : pod.logs(session, options);
  expect(await logTail({ logs }, session(), silent)).toBe(lines.slice(-2_000).join(""));
});

test("a log that can't be read does not delay the end of a session", async () => {
  const logs = () => Promise.reject(new Error("the node does not answer"));
  expect(await logTail({ logs }, session(), silent)).toBe("");
});

test.each([
  "berthd: the command ended with code 2",
  "berthd: metrics are at port 8081, services at port 8082",
  "berthd: POST /session/task/taken: no answer; trying again",
  "berth-session: the command ended with code 2",
  "berth-desktop: the terminal ended",
])("the last line is the command's own line, without its time and colours, and not: %s", (own) => {
  const log = ["python3: can't open file 'agent.py': \u001b[31mNo such file\u001b[0m\u0000", "", own, ""];
  const timed = log.map((line) => `${time} ${line}`).join("\n");
  expect(lastLine(timed)).toBe("python3: can't open file 'agent.py': No such file");
  expect(lastLine(`${time} ${own}\n`)).toBeUndefined();
});

test.each(["the command can't be started: no such file", "the X server ended with code 1"])(
  "an error of berthd is the last line: %s",
  (why) => {
    const log = ["one line of the agent", `berthd: ${why}`, "berthd: the command ended with code 1"];
    expect(lastLine(log.map((line) => `${time} ${line}`).join("\n"))).toBe(`berthd: ${why}`);
  },
);

test("a log can be read without the times of its lines", () => {
  expect(withoutTimes(`${time} one\n${time} \n${time}   two\n`)).toBe("one\n\n  two\n");
});
