/**
 * The open connections into sessions, of all processes. Each process stores its connections in Redis, so that the API
 * can list them, and renews their leases. A connection is stored after a second, so that short calls cost no call to
 * Redis. To close a connection, the API sends its id to all processes, and the process that has the connection closes it.
 * If Redis loses its data, the next renewal stores the connections again.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { BeforeApplicationShutdown } from "@nestjs/common";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { Actor } from "../domain/event.ts";
import { subscribe } from "./redis.ts";

/**
 * What a connection is: a desktop; a program that somebody is attached to or watches; `exec`; a port; a command whose caller
 * waits for its end; a file or archive that is transferred; a folder that is watched; or a log.
 */
export const connectionKinds = ["desktop", "process", "exec", "port", "command", "file", "watch", "log"] as const;
export const connectionModes = ["interactive", "view", "read", "write"] as const;

/** The facts about one open connection that its opener passes to `add`. */
export interface ConnectionInfo {
  kind: (typeof connectionKinds)[number];
  /** The mode of a desktop, or whether a file is read or written; null for other connections. */
  mode: (typeof connectionModes)[number] | null;
  /** The id of the program to which the connection is attached; null for other connections. */
  process: string | null;
  /** The session's port to which a WebSocket or an HTTP request leads; null for other connections. */
  port: number | null;
  /** The file or folder that is transferred or watched; null for other connections. */
  path: string | null;
  /** Who opened the connection, in the form of the audit trail. */
  by: string;
  address: string | null;
}

export interface OpenConnection extends ConnectionInfo {
  id: string;
  /** When the connection was opened, in ISO 8601. */
  since: string;
}

/** The description of a connection that this actor opened. */
export const connectionOf = (
  { name, address }: Actor,
  kind: ConnectionInfo["kind"],
  more: Partial<Pick<ConnectionInfo, "mode" | "process" | "port" | "path">> = {},
): ConnectionInfo => ({
  kind,
  ...{ mode: null, process: null, port: null, path: null, ...more },
  by: name,
  address: address ?? null,
});

/** The reason that the client of a connection gets when a user closes the connection. */
export const closedReason = "A user has closed this connection through the API.";

interface Own {
  sessionId: string;
  /** An OpenConnection in JSON. */
  text: string;
  close: () => void;
}

const channel = "berth:close-connection";

const leaseSeconds = 60;
const renewMs = 20_000;

/** How many connections one call to Redis stores. */
const renewedAtOnce = 250;

/** The pause between two messages of `OpenConnections.close` to the connection's process, in milliseconds. */
const repeatMs = 100;

/** The key in Redis for the set of a session's connection ids, or, if `id` is given, for one connection. */
const keyOf = (sessionId: string, id?: string) => `connections:${sessionId}${id === undefined ? "" : `:${id}`}`;

export class OpenConnections implements BeforeApplicationShutdown {
  readonly #own = new Map<string, Own>();
  readonly #timer: NodeJS.Timeout;
  #stopListening: (() => void) | undefined;

  /**
   * @param closeMs how many milliseconds `close` waits for the connection's process
   * @param listMs after how many milliseconds a connection is stored
   */
  constructor(
    private readonly redis: Redis,
    private readonly logger: Pick<Logger, "warn">,
    private readonly closeMs = 3_000,
    private readonly listMs = 1_000,
  ) {
    this.#timer = setInterval(() => void this.renew(), renewMs).unref();
  }

  /**
   * Stores a connection in the list as soon as it has been open for a second. If somebody closes the connection by its id,
   * `close` is called once. The caller has to call the returned function when the connection has ended. While Redis is
   * unreachable, the connection stays open, but is not in the list.
   */
  add(sessionId: string, info: ConnectionInfo, close: () => void): () => void {
    const since = new Date();
    let id: string | undefined;
    const timer = setTimeout(() => {
      this.#listen();
      id = randomUUID();
      const text = JSON.stringify({ id, since: since.toISOString(), ...info } satisfies OpenConnection);
      this.#own.set(id, { sessionId, text, close });
      this.#note([id]).catch((error: unknown) => this.#warn(error));
    }, this.listMs).unref();
    return () => {
      clearTimeout(timer);
      if (id !== undefined) this.#forget(id);
    };
  }

  /** The session's open connections, oldest first. Throws if Redis does not answer. */
  async of(sessionId: string): Promise<OpenConnection[]> {
    const ids = await this.redis.smembers(keyOf(sessionId));
    if (ids.length === 0) return [];
    const texts = await this.redis.mget(ids.map((id) => keyOf(sessionId, id)));
    // The connections of a process that died have lost their leases.
    const gone = ids.filter((_id, index) => texts[index] === null);
    if (gone.length > 0) await this.redis.srem(keyOf(sessionId), ...gone);
    return texts
      .flatMap((text) => (text === null ? [] : (JSON.parse(text) as OpenConnection)))
      .sort((a, b) => (a.since < b.since ? -1 : 1));
  }

  /** Asks the process that has the connection to close it. Returns false if the connection was not closed in time. */
  async close(sessionId: string, id: string): Promise<boolean> {
    const deadline = performance.now() + this.closeMs;
    while (performance.now() < deadline) {
      await this.redis.publish(channel, id);
      await sleep(repeatMs);
      if ((await this.redis.exists(keyOf(sessionId, id))) === 0) return true;
    }
    return false;
  }

  /** Renews the leases of all connections of this process. */
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
    this.#stopListening?.();
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
    // If the call fails, the connection leaves the list when its lease expires.
    this.redis
      .pipeline()
      .srem(keyOf(own.sessionId), id)
      .del(keyOf(own.sessionId, id))
      .exec()
      .catch(() => {});
  }

  #listen(): void {
    this.#stopListening ??= subscribe(this.redis, channel, (id) => {
      const own = this.#own.get(id);
      if (own === undefined) return;
      own.close();
      this.#forget(id);
    });
  }

  #warn(error: unknown): void {
    this.logger.warn({ err: error }, "open connections are not listed, because Redis does not answer");
  }
}
