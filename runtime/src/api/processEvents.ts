/** What a program in a session does, from a position of its output on. */
import type { ProcessEvent } from "../pod/gen/berth/v1/process_pb.ts";
import { listenTo } from "../pod/listenTo.ts";
import { serviceProblem } from "./serviceProblem.ts";
import type { RunningSession, SessionPods } from "./sessionPods.ts";

/**
 * The program's events. The first one is there when this returns, so that a Problem can still be an answer: 404 there is no
 * such program. Ends after the program's end, or with the signal; throws a Problem if the pod is lost.
 * @param offset the position of the first byte of output that is wanted; 0: the oldest that there is
 */
export async function processEvents(
  pods: Pick<SessionPods, "services">,
  session: RunningSession,
  id: bigint,
  offset: bigint,
  signal: AbortSignal,
): Promise<AsyncGenerator<ProcessEvent>> {
  const { processes } = pods.services.of(session);
  const events = listenTo((ended) => processes.attach({ id, offset }, { signal: ended }), signal);
  try {
    const first = await events.next();
    return goOn(first, events, signal);
  } catch (error) {
    throw serviceProblem(error);
  }
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
