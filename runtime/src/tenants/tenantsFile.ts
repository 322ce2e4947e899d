/** Keeps the tenants up to date with their file. */
import { readFileSync, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { findKeyHolder, type KeyHolder, parseTenants, type Tenant, type Tenants } from "./tenants.ts";

/** By then a kubelet has brought a changed Secret to every pod: it does so every minute or two. */
const unreadForMs = 5 * 60_000;

export class TenantsFile implements OnApplicationShutdown {
  /** What was read last, be it wrong. */
  #read: { text: string; writtenAt: Date };
  #content: Tenants;
  /** When the file was written that the content is of. */
  #writtenAt: Date;
  readonly #listeners: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;

  /** Reads the file; throws if it can't be read or is wrong. A later version that is wrong is logged and not taken. */
  constructor(
    private readonly path: string,
    private readonly logger: Logger,
    /** How often the file is read, in milliseconds. Default 2000. */
    intervalMs = 2_000,
  ) {
    this.#read = { writtenAt: statSync(path).mtime, text: readFileSync(path, "utf8") };
    this.#content = parseTenants(this.#read.text);
    this.#writtenAt = this.#read.writtenAt;
    // Read again and again: Kubernetes changes a mounted Secret by swapping a symlink above it, which file events don't
    // tell reliably, and the file is small.
    this.#timer = setInterval(() => void this.#reload(), intervalMs).unref();
  }

  get(name: string): Tenant | undefined {
    return this.#content.tenants.get(name);
  }

  /** All tenants, in the file's order. */
  all(): Tenant[] {
    return [...this.#content.tenants.values()];
  }

  /** The namespaces of all tenants. */
  namespaces(): string[] {
    return this.all().map((tenant) => tenant.namespace);
  }

  findKeyHolder(key: string): KeyHolder | undefined {
    return findKeyHolder(this.#content, key);
  }

  /**
   * Whether this process may not have read yet what let a session be made at that time, as its file was written before: each
   * pod gets the file at a time of its own, and the API's may have been first. Not for longer than five minutes, as clocks
   * differ.
   */
  isBehind(createdAt: Date, now = Date.now()): boolean {
    return createdAt > this.#writtenAt && now - createdAt.getTime() < unreadForMs;
  }

  /** Calls the listener after every change that was taken. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  async #reload(): Promise<void> {
    try {
      const { mtime: writtenAt } = await stat(this.path); // before the text, so that it is never the younger of the two
      const text = await readFile(this.path, "utf8");
      if (text === this.#read.text && writtenAt.getTime() === this.#read.writtenAt.getTime()) return;
      this.#read = { text, writtenAt }; // also if it is wrong, so that it is complained about once
      this.#content = parseTenants(text);
      this.#writtenAt = writtenAt;
    } catch (error) {
      this.logger.error({ err: error }, "the tenants file is wrong; the tenants of before stay");
      return;
    }
    this.logger.info({ tenants: [...this.#content.tenants.keys()] }, "tenants read");
    for (const listener of this.#listeners) listener();
  }
}
