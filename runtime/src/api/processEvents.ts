/** Reads the events of a program in a session, from a position of its output on. */
import type { ProcessEvent } from "../berthd/gen/berth/v1/process_pb.ts";
import { listenTo } from "../berthd/listenTo.ts";
import { serviceProblem } from "./serviceProblem.ts";
import type { RunningSession, SessionPods } from "./sessionPods.ts";

/**
 * The program's events. The first event is read before this function returns, so that an error can still be sent as a
 * status: 404 if there is no such program. The events end with the program or when the signal aborts. Throws a Problem
 * if the pod is lost.
 * @param offset the position of the first byte of output to read; if the pod no longer has that byte, the oldest one that it has
 */
export async function processEvents(
  pods: Pick<SessionPods, "services" | "traced">,
  session: RunningSession,
  id: bigint,
  offset: bigint,
  signal: AbortSignal,
): Promise<AsyncGenerator<ProcessEvent>> {
  const { processes } = pods.services.of(session);
  const events = listenTo((ended) => processes.attach({ id, offset }, { signal: ended }), signal);
  const first = await pods.traced(session, "attach", () => events.next());
  return goOn(first, events, signal);
}

async function* goOn(
  first: IteratorResult<ProcessEvent>,
  events: AsyncGenerator<ProcessEvent>,
  signal: AbortSignal,
): AsyncGenerator<ProcessEvent> {
  if (first.done) return;
  try {
    yield first.value;
    yield* events;
  } catch (error) {
    if (!signal.aborted) throw serviceProblem(error);
  } finally {
    await events.return(undefined);
  }
}
