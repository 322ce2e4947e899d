/**
 * The connections into sessions that are open at all processes: noted in Redis, so that they can be listed, each with a lease
 * that its process renews, and closed by a message to all processes. When Redis was emptied, the renewal notes them again.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { BeforeApplicationShutdown } from "@nestjs/common";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { Actor } from "../domain/event.ts";

/** What is told of an open connection. */
export interface ConnectionInfo {
  kind: "desktop" | "process" | "exec";
  /** Of a desktop; null for the others. */
  mode: "interactive" | "view" | null;
  /** The id of the program that it is attached to; null for the others. */
  process: string | null;
  /** Who opened it, as the audit trail has it. */
  by: string;
  address: string | null;
}

export interface OpenConnection extends ConnectionInfo {
  id: string;
  /** When it was opened, in ISO 8601. */
  since: string;
}

/** What is told of a connection of somebody's. */
export const connectionOf = (
  { name, address }: Actor,
  kind: ConnectionInfo["kind"],
  more: Partial<Pick<ConnectionInfo, "mode" | "process">> = {},
): ConnectionInfo => ({ kind, mode: null, process: null, ...more, by: name, address: address ?? null });

interface Own {
  sessionId: string;
  /** An OpenConnection in JSON. */
  text: string;
  close: () => void;
}

const channel = "berth:close-connection";

const leaseSeconds = 60;
const renewMs = 20_000;

/** Connections that are noted by one call. */
const renewedAtOnce = 250;

/** So long is waited for the process that has the connection, which is told again and again, in milliseconds. */
const [closeMs, tellMs] = [3_000, 100];

/** The ids of a session's connections, and one of them. */
const keyOf = (sessionId: string, id?: string) => `connections:${sessionId}${id === undefined ? "" : `:${id}`}`;

export class OpenConnections implements BeforeApplicationShutdown {
  readonly #own = new Map<string, Own>();
  readonly #timer: NodeJS.Timeout;
  #listener: Redis | undefined;

  constructor(
    private readonly redis: Redis,
    private readonly logger: Pick<Logger, "warn">,
  ) {
    this.#timer = setInterval(() => void this.renew(), renewMs).unref();
  }

  /**
   * Notes a connection. `close` is called once, when somebody closes it by its id. Returns what is to be called when it has
   * ended. While Redis is away it is open, but not listed.
   */
  add(sessionId: string, info: ConnectionInfo, close: () => void): () => void {
    this.#listen();
    const id = randomUUID();
    const text = JSON.stringify({ id, since: new Date().toISOString(), ...info } satisfies OpenConnection);
    this.#own.set(id, { sessionId, text, close });
    this.#note([id]).catch((error: unknown) => this.#warn(error));
    return () => this.#forget(id);
  }

  /** The session's open connections, oldest first. Throws if Redis does not answer. */
  async of(sessionId: string): Promise<OpenConnection[]> {
    const ids = await this.redis.smembers(keyOf(sessionId));
    if (ids.length === 0) return [];
    const texts = await this.redis.mget(ids.map((id) => keyOf(sessionId, id)));
    // Those of a process that died have no lease any more.
    const gone = ids.filter((_id, index) => texts[index] === null);
    if (gone.length > 0) await this.redis.srem(keyOf(sessionId), ...gone);
    return texts
      .flatMap((text) => (text === null ? [] : (JSON.parse(text) as OpenConnection)))
      .sort((a, b) => (a.since < b.since ? -1 : 1));
  }

  /** Has the connection closed by the process that has it. False: that process did not say in time that it is. */
  async close(sessionId: string, id: string): Promise<boolean> {
    const deadline = performance.now() + closeMs;
    while (performance.now() < deadline) {
      await this.redis.publish(channel, id);
      await sleep(tellMs);
      if ((await this.redis.exists(keyOf(sessionId, id))) === 0) return true;
    }
    return false;
  }

  /** Notes all connections that this process has again. */
  async renew(): Promise<void> {
    const ids = [...this.#own.keys()];
    try {
      for (let from = 0; from < ids.length; from += renewedAtOnce) {
        await this.#note(ids.slice(from, from + renewedAtOnce));
      }
    } catch (error) {
      this.#warn(error);
    }
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.#timer);
    this.#listener?.disconnect();
  }

  async #note(ids: string[]): Promise<void> {
    const calls = this.redis.pipeline();
    for (const id of ids) {
      const own = this.#own.get(id);
      if (own === undefined) continue;
      const { sessionId, text } = own;
      calls.sadd(keyOf(sessionId), id).expire(keyOf(sessionId), leaseSeconds);
      calls.set(keyOf(sessionId, id), text, "EX", leaseSeconds);
    }
    const failed = (await calls.exec())?.find(([error]) => error !== null);
    if (failed?.[0]) throw failed[0];
  }

  #forget(id: string): void {
    const own = this.#own.get(id);
    if (own === undefined) return;
    this.#own.delete(id);
    // Without an answer the lease ends by itself.
    this.redis
      .pipeline()
      .srem(keyOf(own.sessionId), id)
      .del(keyOf(own.sessionId, id))
      .exec()
      .catch(() => {});
  }

  #listen(): void {
    if (this.#listener !== undefined) return;
    const connection = this.redis.duplicate({
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      commandTimeout: undefined,
    });
    this.#listener = connection;
    connection.on("error", () => {}); // the other connection reports it
    connection.on("message", (_channel, id: string) => {
      const own = this.#own.get(id);
      if (own === undefined) return;
      own.close();
      this.#forget(id);
    });
    connection.subscribe(channel).catch(() => {}); // closed before it was there
  }

  #warn(error: unknown): void {
    this.logger.warn({ err: error }, "open connections are not listed: redis does not answer");
  }
}
