/**
 * Answers that go on for long: each ends when its reader leaves, may not stay, or the process ends, and a tenant has only so
 * many.
 */
import type { BeforeApplicationShutdown } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import type { ConnectionInfo, OpenConnections } from "../../queue/openConnections.ts";
import type { CallerRequest } from "../access/caller.ts";
import type { Revocations } from "../access/revocations.ts";
import { Problem } from "./problem.ts";

/** Long answers that a tenant may have open at one process. */
const perTenant = 100;

export class Streams implements BeforeApplicationShutdown {
  readonly #open = new Map<string, Set<AbortController>>();
  #ending = false;

  constructor(
    private readonly revocations: Pick<Revocations, "watch">,
    /** Default: nothing is listed. */
    private readonly connections?: Pick<OpenConnections, "add">,
  ) {}

  /** How many are open. */
  get size(): number {
    return [...this.#open.values()].reduce((sum, controllers) => sum + controllers.size, 0);
  }

  /**
   * The signal that ends the answer, at once where the process ends; its reason is a Problem where the caller may not stay.
   * Throws a 429 if the tenant has too many of them. With `listed`, it is one of the session's connections, which somebody
   * may close.
   */
  open(tenant: string, reply: FastifyReply, listed?: { sessionId: string; info: ConnectionInfo }): AbortSignal {
    if (this.#ending) return AbortSignal.abort();
    const controllers = this.#open.get(tenant) ?? new Set();
    if (controllers.size >= perTenant) {
      throw new Problem(429, `The tenant has ${perTenant} long answers open. Close some of them.`, undefined, 10);
    }
    const controller = new AbortController();
    controllers.add(controller);
    this.#open.set(tenant, controllers);
    const { caller } = reply.request as CallerRequest;
    const unwatch =
      caller?.role === "tenant"
        ? this.revocations.watch(caller, (why) => controller.abort(new Problem(401, why)))
        : () => {};
    const close = () => controller.abort(new Problem(403, "Somebody has closed this connection by the API."));
    const unlist = listed && this.connections?.add(listed.sessionId, listed.info, close);
    reply.raw.once("close", () => {
      unwatch();
      unlist?.();
      controllers.delete(controller);
      if (controllers.size === 0) this.#open.delete(tenant);
      controller.abort();
    });
    return controller.signal;
  }

  /** Ends them all, and waits for that: a connection that is still in use when the server closes stays for a minute. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#ending = true;
    for (const controllers of this.#open.values()) for (const controller of controllers) controller.abort();
    const deadline = performance.now() + 2_000;
    while (this.#open.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
