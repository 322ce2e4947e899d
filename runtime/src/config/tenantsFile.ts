/** Keeps the tenants up to date with their file. */
import { readFileSync, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { findKeyHolder, type KeyHolder, parseTenants, type Tenant, type Tenants } from "../domain/tenants.ts";

/** By then a kubelet has brought a changed Secret to every pod: it does so every minute or two. */
const unreadForSeconds = 5 * 60;

export class TenantsFile implements OnApplicationShutdown {
  /** What was read last, be it wrong. */
  #read: { text: string; mtime: Date };
  #content: Tenants;
  /** When the file was written that the content is of, by performance.now(). */
  #writtenAt: number;
  readonly #listeners: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;
  #isReading = false;

  /** Reads the file; throws if it can't be read or is wrong. A later version that is wrong is logged and not taken. */
  constructor(
    private readonly path: string,
    private readonly logger: Logger,
    /** How often the file is read, in milliseconds. Default 2000. */
    intervalMs = 2_000,
  ) {
    this.#read = { mtime: statSync(path).mtime, text: readFileSync(path, "utf8") };
    this.#content = parseTenants(this.#read.text);
    this.#writtenAt = monotonic(this.#read.mtime);
    // Read again and again: Kubernetes changes a mounted Secret by swapping a symlink above it, which file events don't
    // tell reliably, and the file is small.
    this.#timer = setInterval(() => void this.#reload(), intervalMs).unref();
  }

  get(name: string): Tenant | undefined {
    return this.#content.tenants.get(name);
  }

  /** Whether the file says that the tenant is being removed. A tenant that the file does not name is not closed. */
  isClosed(name: string): boolean {
    return this.#content.closed.has(name);
  }

  /** All tenants, in the file's order. */
  all(): Tenant[] {
    return [...this.#content.tenants.values()];
  }

  /** The names of all tenants that the file has, the closed ones included. */
  names(): string[] {
    return [...this.#content.tenants.keys(), ...this.#content.closed];
  }

  /** The names of the tenants whose sessions have to end: those that are closed or may have none. */
  ending(): string[] {
    const without = this.all().filter(({ maxSessions }) => maxSessions === 0);
    return [...without.map(({ name }) => name), ...this.#content.closed];
  }

  /** The namespaces of all tenants. */
  namespaces(): string[] {
    return this.all().map((tenant) => tenant.namespace);
  }

  findKeyHolder(key: string): KeyHolder | undefined {
    return findKeyHolder(this.#content, key);
  }

  /**
   * Whether this process may not have read yet what let something happen so many seconds ago, as its file is older than
   * that: each pod gets the file at a time of its own, and another's may have been first. Not for longer than five minutes.
   * Ages are compared, and not times, as clocks differ.
   */
  isBehind(secondsAgo: number): boolean {
    return secondsAgo < Math.min(unreadForSeconds, (performance.now() - this.#writtenAt) / 1_000);
  }

  /** Calls the listener after every change that was taken. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  async #reload(): Promise<void> {
    // One read at a time: two that overlap would each take the same change, and the older could end last.
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      const { mtime } = await stat(this.path); // before the text, so that it is never the younger of the two
      const text = await readFile(this.path, "utf8");
      if (text === this.#read.text && mtime.getTime() === this.#read.mtime.getTime()) return;
      this.#read = { text, mtime }; // also if it is wrong, so that it is complained about once
      this.#content = parseTenants(text);
      this.#writtenAt = monotonic(mtime);
    } catch (error) {
      this.logger.error({ err: error }, "the tenants file is wrong; the tenants of before stay");
      return;
    } finally {
      this.#isReading = false;
    }
    this.logger.info({ tenants: [...this.#content.tenants.keys()] }, "tenants read");
    for (const listener of this.#listeners) listener();
  }
}

/** A time as performance.now() would have told it; not later than now, should the clock be wrong. */
const monotonic = (time: Date) => performance.now() - Math.max(0, Date.now() - time.getTime());
