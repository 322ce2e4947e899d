import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { session, silent } from "../testing/fixtures.ts";
import { keptBytes, lastLine, logTail, withoutTimes } from "./logTail.ts";

const time = "2026-11-28T11:00:00.123456789Z";
const podWith = (chunks: string[]) => ({
  logs: async () => Readable.from(chunks.map((chunk) => Buffer.from(chunk))) as IncomingMessage,
});

test("the end of a log is its last whole lines, and no more than 64 KiB of them", async () => {
  const short = `${time} one\n${time} two\n`;
  expect(await logTail(podWith([short.slice(0, 40), short.slice(40)]), session(), silent)).toBe(short);
  const lines = Array.from({ length: 1_000 }, (_, number) => `${time} ${number} ${"x".repeat(1_000)}\n`);
  const tail = await logTail(podWith(lines), session(), silent);
  expect(Buffer.byteLength(tail)).toBeLessThanOrEqual(keptBytes);
  expect(Buffer.byteLength(tail)).toBeGreaterThan(keptBytes - 1_100);
  expect(tail.startsWith(`${time} 9`)).toBe(true);
  expect(tail.endsWith(lines.at(-1) ?? "")).toBe(true);
});

test("a log that can't be read holds up no end of a session", async () => {
  const logs = () => Promise.reject(new Error("the node does not answer"));
  expect(await logTail({ logs }, session(), silent)).toBe("");
});

test("the last line is the command's own, without its time and its colours", () => {
  const log = [
    "python3: can't open file 'agent.py': \u001b[31mNo such file\u001b[0m\u0000",
    "",
    "berth-session: the command ended with code 2",
    "",
  ];
  const timed = log.map((line) => `${time} ${line}`).join("\n");
  expect(lastLine(timed)).toBe("python3: can't open file 'agent.py': No such file");
  expect(lastLine(`${time} berth-session: no task, just the desktop\n`)).toBeUndefined();
  expect(withoutTimes(`${time} one\n${time} \n${time}   two\n`)).toBe("one\n\n  two\n");
});
