import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  OutputStream,
  type ProcessEvent,
  ProcessEventSchema,
  ProcessSchema,
} from "../berthd/gen/berth/v1/process_pb.ts";
import {
  bytesOf,
  CommandBody,
  commandJson,
  eventJson,
  ProcessBody,
  processJson,
  startRequest,
  textOf,
} from "./processJson.ts";

const event = (kind: ProcessEvent["kind"]) => create(ProcessEventSchema, { kind } as object);

test("output that is valid text as a whole is sent as text, else as base64; nothing is lost", () => {
  const euro = Buffer.from("€");
  expect(textOf(Buffer.from("a\n\0\ufeffé"))).toEqual({ text: "a\n\0\ufeffé" });
  expect(textOf(euro.subarray(0, 2))).toEqual({ base64: euro.subarray(0, 2).toString("base64") });
  expect(textOf(Buffer.alloc(0))).toEqual({ text: "" });
});

test("berthd's facts of a program become JSON, and messages that only keep the stream alive are dropped", () => {
  const data = { stream: OutputStream.STDERR, offset: 7n, data: Buffer.from("x"), dropped: 3n };
  expect(eventJson(event({ case: "data", value: data as never }))).toEqual({
    ...{ type: "output", stream: "stderr", offset: 7, text: "x", dropped: 3 },
  });
  const ended = { exitCode: 0, signal: 0, timedOut: false, outputBytes: 9n, discardedBytes: 1n, dropped: 0n };
  expect(eventJson(event({ case: "ended", value: ended as never }))).toEqual({
    ...{ type: "ended", exitCode: 0, signal: null, timedOut: false, outputBytes: 9, discardedBytes: 1, dropped: 0 },
  });
  expect(eventJson(event({ case: "keepAlive", value: {} as never }))).toBeUndefined();
  expect(eventJson(event({ case: undefined }))).toBeUndefined();
  const program = create(ProcessSchema, { id: 3n, pid: 42, command: ["ls"], cwd: "/w", startedAt: { seconds: 60n } });
  expect(processJson(program)).toEqual({
    ...{ id: 3, pid: 42, command: ["ls"], cwd: "/w", tag: null, pty: false, ended: null },
    ...{ startedAt: "1970-01-01T00:01:00.000Z", outputBytes: 0, oldestOffset: 0 },
  });
});

test("a request becomes berthd's request, with the defaults", () => {
  expect(startRequest(CommandBody.parse({ command: ["ls"] }))).toEqual({
    ...{ command: ["ls"], cwd: "", env: {}, stdin: Buffer.alloc(0), tag: "", keepStdin: false },
    ...{ outputLimit: 1_048_576n, timeout: expect.objectContaining({ seconds: 60n, nanos: 0 }) },
  });
  const body = { command: ["sh"], pty: { columns: 80, rows: 24 }, keepStdin: true, stdin: "é" };
  expect(startRequest(ProcessBody.parse(body))).toEqual({
    ...{ command: ["sh"], cwd: "", env: {}, stdin: Buffer.from("é"), tag: "", keepStdin: true },
    ...{ outputLimit: 0n, pty: { columns: 80, rows: 24 } },
  });
});

test("a command's output is text or base64, as requested; input is the text and then the bytes", () => {
  const output = { stdout: Buffer.from([255, 65]), stderr: Buffer.alloc(0) };
  const ended = { exitCode: 137, signal: 9, timedOut: true, outputBytes: 5n, discardedBytes: 3n };
  expect(commandJson(1n, output, ended as never, "utf8")).toEqual({
    ...{ processId: 1, exitCode: 137, signal: 9, timedOut: true, stdout: "\ufffdA", stderr: "" },
    ...{ outputBytes: 5, discardedBytes: 3 },
  });
  expect(commandJson(1n, output, ended as never, "base64").stdout).toBe("/0E=");
  expect(bytesOf({ text: "a", base64: "AP8=", end: false })).toEqual(Buffer.from([97, 0, 255]));
});
