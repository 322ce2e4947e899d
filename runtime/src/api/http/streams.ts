/**
 * Answers that stay open for a long time. Each answer ends when its reader disconnects, when the caller may no longer read it,
 * when a user closes it through the API, or when the process of the API or gateway starts its shutdown. The number of such
 * answers that a tenant may have open in one process is limited.
 */
import type { BeforeApplicationShutdown } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { type ConnectionInfo, closedReason, type OpenConnections } from "../../queue/openConnections.ts";
import type { CallerRequest } from "../access/caller.ts";
import type { Revocations } from "../access/revocations.ts";
import { Problem } from "./problem.ts";

/** How many such answers a tenant may have open at the same time in one process of the API or gateway. */
const perTenant = 100;

/** The reason of each signal whose reader has disconnected. All signals share this object, because a new one is expensive. */
const gone = new DOMException("The reader has gone", "AbortError");

export class Streams implements BeforeApplicationShutdown {
  readonly #open = new Map<string, Set<AbortController>>();
  readonly #controllers = new WeakMap<FastifyReply, AbortController>();
  #ending = false;

  constructor(
    private readonly revocations: Pick<Revocations, "watch">,
    /** The list of open connections. Default: streams are not listed. */
    private readonly connections?: Pick<OpenConnections, "add">,
  ) {}

  /** The number of open streams. */
  get size(): number {
    return [...this.#open.values()].reduce((sum, controllers) => sum + controllers.size, 0);
  }

  /**
   * Returns the signal that ends the answer. If the caller may no longer read the answer, the signal's reason is a
   * Problem. The signal aborts as soon as this process starts its shutdown; if the shutdown has started before this
   * call, the signal is already aborted. Throws a 429 if the tenant has too many open answers.
   */
  open(tenant: string, reply: FastifyReply): AbortSignal {
    if (this.#ending) return AbortSignal.abort();
    const controllers = this.#open.get(tenant) ?? new Set();
    if (controllers.size >= perTenant) {
      throw new Problem(429, `The tenant has ${perTenant} streams open. Close some of them.`, undefined, 10);
    }
    const controller = new AbortController();
    controllers.add(controller);
    this.#open.set(tenant, controllers);
    const { caller } = reply.request as CallerRequest;
    const unwatch =
      caller?.role === "tenant"
        ? this.revocations.watch(caller, (why) => controller.abort(new Problem(401, why)))
        : () => {};
    this.#controllers.set(reply, controller);
    reply.raw.once("close", () => {
      unwatch();
      controllers.delete(controller);
      if (controllers.size === 0) this.#open.delete(tenant);
      controller.abort(gone);
    });
    return controller.signal;
  }

  /**
   * Adds an answer that `open` has opened to the list of the session's connections until the answer ends. Users may close the
   * answer: then the signal's reason is a Problem. Call `list` only if the caller may access the session.
   */
  list(reply: FastifyReply, sessionId: string, info: ConnectionInfo): void {
    const controller = this.#controllers.get(reply);
    if (controller === undefined || controller.signal.aborted) return;
    const close = () => controller.abort(new Problem(403, closedReason));
    const unlist = this.connections?.add(sessionId, info, close);
    if (unlist) reply.raw.once("close", unlist);
  }

  /**
   * Ends all streams, and waits up to 2 s until they have ended, because the server closes only when no connection is in
   * use.
   */
  async beforeApplicationShutdown(): Promise<void> {
    this.#ending = true;
    for (const controllers of this.#open.values()) for (const controller of controllers) controller.abort();
    const deadline = performance.now() + 2_000;
    while (this.#open.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
