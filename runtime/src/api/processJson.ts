/** JSON schemas that describe programs in sessions, in the API's requests and answers. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { z } from "zod";
import {
  OutputStream,
  type Process,
  type ProcessEnded,
  type ProcessEvent,
  type StartRequestSchema,
} from "../berthd/gen/berth/v1/process_pb.ts";
import { jsonObject, plainText } from "./http/input.ts";
import { variables } from "./sessionJson.ts";
import { timeText } from "./times.ts";

/** The maximum number of output bytes in the answer to a command. */
const maxOutputBytes = 1_048_576;

const whole = (what: string, min: number, max: number) =>
  z.int(`must be a whole number of ${what}`).min(min, `must be at least ${min}`).max(max, `must be at most ${max}`);

const program = {
  command: z
    .array(plainText(32_768), "must be a list of strings")
    .min(1, "must have at least the program")
    .max(256, "must have at most 256 entries")
    .meta({ description: "The program and its arguments. They are not passed to a shell." }),
  cwd: plainText(4_096)
    .optional()
    .meta({ description: "The working directory, absolute or relative to the workspace. Default: the workspace." }),
  env: variables().optional().meta({ description: "Added to the session's environment." }),
  stdin: z
    .string("must be text")
    .max(65_536, "must have at most 65536 characters")
    .optional()
    .meta({ description: "The first input of the program." }),
  tag: z
    .string("must be text")
    .regex(/^[\w .:/@-]{1,100}$/, "must be 1 to 100 letters, digits, spaces and _.:/@-")
    .optional()
    .meta({ description: "A name of your choice, to find the program by." }),
};

export const CommandBody = jsonObject({
  ...program,
  timeoutSeconds: whole("seconds", 1, 3_600)
    .default(60)
    .meta({ description: "After this time the program gets SIGTERM, and 5 s later SIGKILL." }),
  outputLimitBytes: whole("bytes", 1, maxOutputBytes)
    .default(maxOutputBytes)
    .meta({ description: "How many bytes of stdout and stderr together are kept; further bytes are only counted." }),
  encoding: z
    .enum(["utf8", "base64"], "must be utf8 or base64")
    .default("utf8")
    .meta({ description: "The encoding of stdout and stderr. In utf8, bytes that are not text become U+FFFD." }),
}).meta({ id: "NewCommand" });
export type CommandBody = z.infer<typeof CommandBody>;

export const SizeBody = jsonObject({
  columns: whole("columns", 1, 1_000),
  rows: whole("rows", 1, 1_000),
}).meta({ id: "TerminalSize" });
export type SizeBody = z.infer<typeof SizeBody>;

export const ProcessBody = jsonObject({
  ...program,
  keepStdin: z
    .boolean("must be true or false")
    .default(false)
    .meta({ description: "Whether stdin stays open for later input. With a terminal it always stays open." }),
  pty: SizeBody.optional().meta({
    description: "Gives the program a terminal of this size. Its output is then one stream.",
  }),
  timeoutSeconds: whole("seconds", 1, 31_536_000)
    .optional()
    .meta({ description: "After this time the program gets SIGTERM, and 5 s later SIGKILL. Default: no limit." }),
  outputLimitBytes: whole("bytes", 1, Number.MAX_SAFE_INTEGER)
    .optional()
    .meta({ description: "Output bytes beyond this number are counted and discarded. Default: no limit." }),
}).meta({ id: "NewProcess" });
export type ProcessBody = z.infer<typeof ProcessBody>;

/** Names and numbers of signals. The numbers are the same on every Linux on which sessions run. */
const signals = {
  ...{ SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGUSR1: 10, SIGUSR2: 12, SIGTERM: 15 },
  ...{ SIGCONT: 18, SIGSTOP: 19, SIGTSTP: 20 },
} as const;
type SignalName = keyof typeof signals;
const signalNames = Object.keys(signals) as [SignalName, ...SignalName[]];

export const SignalBody = jsonObject({
  signal: z.enum(signalNames, `must be one of ${signalNames.join(", ")}`),
}).meta({ id: "Signal" });
export type SignalBody = z.infer<typeof SignalBody>;
export const numberOf = (signal: SignalName): number => signals[signal];

const base64 = z
  .string("must be base64")
  .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, "must be base64");

export const InputBody = jsonObject({
  text: z.string("must be text").optional().meta({ description: "Sent as UTF-8." }),
  base64: base64.optional().meta({ description: "Bytes in base64, sent after `text`." }),
  end: z
    .boolean("must be true or false")
    .default(false)
    .meta({ description: "Whether stdin is closed afterwards. A terminal gets an end-of-file character." }),
}).meta({ id: "Input" });
export type InputBody = z.infer<typeof InputBody>;
export const bytesOf = ({ text = "", base64 = "" }: InputBody): Uint8Array =>
  Buffer.concat([Buffer.from(text), Buffer.from(base64, "base64")]);

const end = {
  exitCode: z.int().meta({ description: "The exit code, as in a shell: 128 plus the number if a signal ended it." }),
  signal: z.int().nullable().meta({ description: "The number of the signal that ended it." }),
  timedOut: z.boolean(),
};
const outputBytes = z.int().meta({ description: "All bytes that the program has written." });

export const ProcessJson = z
  .object({
    id: z.int().meta({ description: "An id that is never used again while the session's pod lives." }),
    pid: z.int(),
    command: z.array(z.string()),
    cwd: z.string(),
    tag: z.string().nullable(),
    pty: z.boolean(),
    startedAt: z.iso.datetime(),
    ended: z.object(end).nullable().meta({ description: "How the program ended; null while it runs." }),
    outputBytes,
    oldestOffset: z.int().meta({ description: "The position of the oldest output that can still be read." }),
  })
  .meta({ id: "Process" });
export type ProcessJson = z.infer<typeof ProcessJson>;

export const CommandJson = z
  .object({
    processId: z.int(),
    ...end,
    stdout: z.string(),
    stderr: z.string(),
    outputBytes,
    discardedBytes: z.int().meta({ description: "How many of the program's output bytes are not in this answer." }),
  })
  .meta({ id: "CommandResult" });
export type CommandJson = z.infer<typeof CommandJson>;

/** An event of a program, as Server-Sent Events and WebSockets send it. */
export const ProcessEventJson = z
  .discriminatedUnion("type", [
    z.object({ type: z.literal("started"), id: z.int(), pid: z.int() }),
    z.object({
      type: z.literal("output"),
      stream: z.enum(["stdout", "stderr", "pty"]),
      offset: z.int().meta({ description: "The position of the first byte, counted over all streams." }),
      text: z.string().optional().meta({ description: "The output, if all of it is valid UTF-8." }),
      base64: z.string().optional().meta({ description: "The output, if it is not valid UTF-8." }),
      dropped: z
        .int()
        .meta({ description: "How many of the requested bytes before this output are not stored any more." }),
    }),
    z.object({
      type: z.literal("ended"),
      ...end,
      outputBytes,
      discardedBytes: z.int().meta({ description: "How many of the program's output bytes exceed outputLimitBytes." }),
      dropped: z.int().meta({ description: "How many bytes at the end are not stored any more." }),
    }),
  ])
  .meta({ id: "ProcessEvent" });
export type ProcessEventJson = z.infer<typeof ProcessEventJson>;

/** The request that asks berthd to start the program. */
export function startRequest(body: ProcessBody | CommandBody): MessageInitShape<typeof StartRequestSchema> {
  const { command, cwd = "", env = {}, stdin = "", tag = "", timeoutSeconds, outputLimitBytes = 0 } = body;
  const { keepStdin = false, pty }: Partial<ProcessBody> = body as Partial<ProcessBody>;
  return {
    command,
    cwd,
    env,
    stdin: Buffer.from(stdin),
    tag,
    keepStdin,
    ...(pty && { pty }),
    ...(timeoutSeconds !== undefined && { timeout: durationFromMs(timeoutSeconds * 1_000) }),
    outputLimit: BigInt(outputLimitBytes),
  };
}

const endOf = ({ exitCode, signal, timedOut }: ProcessEnded) => ({ exitCode, signal: signal || null, timedOut });

export function processJson(process: Process): ProcessJson {
  const { id, pid, command, cwd, tag, pty, startedAt, ended, outputBytes, oldestOffset } = process;
  return {
    id: Number(id),
    pid,
    command,
    cwd,
    tag: tag === "" ? null : tag,
    pty,
    startedAt: timeText(startedAt),
    ended: ended === undefined ? null : endOf(ended),
    outputBytes: Number(outputBytes),
    oldestOffset: Number(oldestOffset),
  };
}

export const streamNames = {
  [OutputStream.UNSPECIFIED]: "stdout",
  [OutputStream.STDOUT]: "stdout",
  [OutputStream.STDERR]: "stderr",
  [OutputStream.PTY]: "pty",
} as const;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes as text, or as base64 if they are not valid UTF-8. No byte is lost either way. */
export function textOf(bytes: Uint8Array): { text: string } | { base64: string } {
  try {
    return { text: utf8.decode(bytes) };
  } catch {
    return { base64: Buffer.from(bytes).toString("base64") };
  }
}

/** The event in the form in which users get it; undefined for a heartbeat of the stream. */
export function eventJson({ kind }: ProcessEvent): ProcessEventJson | undefined {
  switch (kind.case) {
    case "started":
      return { type: "started", id: Number(kind.value.id), pid: kind.value.pid };
    case "data": {
      const { stream, offset, data, dropped } = kind.value;
      return {
        type: "output",
        stream: streamNames[stream],
        offset: Number(offset),
        ...textOf(data),
        dropped: Number(dropped),
      };
    }
    case "ended": {
      const { outputBytes, discardedBytes, dropped } = kind.value;
      return {
        type: "ended",
        ...endOf(kind.value),
        outputBytes: Number(outputBytes),
        discardedBytes: Number(discardedBytes),
        dropped: Number(dropped),
      };
    }
    default:
      return undefined;
  }
}

/** The output of a command, and how the command ended. */
export function commandJson(
  processId: bigint,
  output: Record<"stdout" | "stderr", Uint8Array>,
  ended: ProcessEnded,
  encoding: CommandBody["encoding"],
): CommandJson {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString(encoding);
  return {
    processId: Number(processId),
    ...endOf(ended),
    stdout: text(output.stdout),
    stderr: text(output.stderr),
    outputBytes: Number(ended.outputBytes),
    discardedBytes: Number(ended.discardedBytes),
  };
}
