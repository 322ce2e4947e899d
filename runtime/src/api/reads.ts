/** Records in the audit trail that callers read something of a session. */
import type { Actor, Use } from "../domain/event.ts";
import { type State, states } from "../domain/states/state.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import { Recent } from "../timing/recent.ts";
import type { TenantCaller } from "./access/caller.ts";

/** If a caller repeats the same read within this time, in milliseconds, each process records it only once. */
const readMs = 60_000;

/** The arguments of `noteUse`. */
type ReadUse = [id: string, tenant: string, use: Use, what: string, actor: Actor, inStates: readonly State[]];

export class Reads {
  readonly #recent = new Recent<void>((key) => this.#note(key), readMs);

  constructor(private readonly commands: Pick<SessionCommands, "noteUse">) {}

  /**
   * Records the read, in any state of the session, and resolves when the record is in the audit trail. If the same caller
   * repeats the same read, each process records one line per minute. `what` must not contain what is read.
   */
  note(id: string, { tenant, actor }: Pick<TenantCaller, "tenant" | "actor">, use: Use, what: string): Promise<void> {
    const read: ReadUse = [id, tenant.name, use, what, actor, states];
    return this.#recent.get(JSON.stringify(read));
  }

  async #note(key: string): Promise<void> {
    await this.commands.noteUse(...(JSON.parse(key) as ReadUse));
  }
}
