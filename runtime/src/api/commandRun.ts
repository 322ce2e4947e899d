/** Runs a command and waits for its end. */
import { OutputStream, type ProcessEnded } from "../berthd/gen/berth/v1/process_pb.ts";
import { listenTo } from "../berthd/listenTo.ts";
import { PodError, podErrorOf } from "../berthd/podError.ts";
import { Problem } from "./http/problem.ts";
import { type CommandBody, type CommandJson, commandJson, startRequest } from "./processJson.ts";
import type { RunningSession, SessionPods } from "./sessionPods.ts";

/**
 * Runs the command in the session's pod. If the signal aborts or the connection is lost, the command continues. If
 * the signal's reason is a Problem, that Problem is thrown. Otherwise, if the command has started, the thrown Problem
 * contains the id of the command's process.
 */
export function runCommand(
  pods: Pick<SessionPods, "services" | "traced">,
  session: RunningSession,
  body: CommandBody,
  signal: AbortSignal,
): Promise<CommandJson> {
  const { processes } = pods.services.of(session);
  let id: bigint | undefined;
  const run = async () => {
    const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
    let end: ProcessEnded | undefined;
    const request = { ...startRequest(body), waitForReader: true };
    for await (const { kind } of listenTo((ended) => processes.start(request, { signal: ended }), signal)) {
      if (kind.case === "started") id = kind.value.id;
      if (kind.case === "data")
        chunks[kind.value.stream === OutputStream.STDERR ? "stderr" : "stdout"].push(kind.value.data);
      if (kind.case === "ended") end = kind.value;
    }
    if (id === undefined || end === undefined) throw new PodError("unreachable", "the stream ended before the command");
    const output = { stdout: Buffer.concat(chunks.stdout), stderr: Buffer.concat(chunks.stderr) };
    return commandJson(id, output, end, body.encoding);
  };
  const saying = () =>
    run().catch((error: unknown) => {
      const kind = podErrorOf(error)?.kind;
      if (signal.reason instanceof Problem) throw signal.reason;
      if (id === undefined || (kind !== "unreachable" && kind !== "canceled")) throw error;
      throw new Problem(
        503,
        `The connection to the command was lost. It continues as the process ${id}, if the session's pod still runs.`,
      );
    });
  return pods.traced(session, "run", saying, { field: "command", missing: 400 });
}
