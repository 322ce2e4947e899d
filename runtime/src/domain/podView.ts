/** What a session's pod says about its session. */
import type { Cause } from "./state.ts";

export type PodView =
  | { is: "absent" }
  /** On its way. `needs`: what it can't get on without, if anything: a node with room for it, or somebody's help. */
  | { is: "pending"; reason: string; needs: "time" | "room" | "help" }
  | { is: "ready"; ip: string }
  /** The agent ended by itself and well. */
  | { is: "finished"; reason: string }
  /** Its node is drained, shut down or gone, or needed for something more important: no fault of the session. */
  | { is: "displaced"; reason: string }
  /** Somebody or something deleted it. */
  | { is: "leaving"; reason: string }
  | { is: "broken"; cause: Cause; reason: string };
