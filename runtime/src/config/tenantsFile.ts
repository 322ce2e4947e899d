/** Reads the tenants from their file, and again when the file changes. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { findKeyHolder, type KeyHolder, parseTenants, type Tenant, type Tenants } from "../domain/tenants.ts";

export class TenantsFile implements OnApplicationShutdown {
  /** The text that was read last, even if it is not valid. */
  #read: string;
  #content: Tenants;
  readonly #listeners: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;
  #isReading = false;

  /**
   * Reads the file; throws if the file can't be read or is not valid. If a later version can't be read or is not valid, logs an
   * error and keeps the tenants of the last valid version.
   */
  constructor(
    private readonly path: string,
    private readonly logger: Logger,
    /** How often the file is read, in milliseconds. Default 2000. */
    intervalMs = 2_000,
  ) {
    this.#read = readFileSync(path, "utf8");
    this.#content = parseTenants(this.#read);
    // The file is small and is read at intervals, because Kubernetes updates a mounted Secret by swapping a symlink
    // above the file, and file events do not report that reliably.
    this.#timer = setInterval(() => void this.#reload(), intervalMs).unref();
  }

  get(name: string): Tenant | undefined {
    return this.#content.tenants.get(name);
  }

  /**
   * Whether the file marks the tenant as closed, which means that the tenant is being removed. A tenant that the file
   * does not name is not closed.
   */
  isClosed(name: string): boolean {
    return this.#content.closed.has(name);
  }

  /** All tenants except closed ones, in the file's order. */
  all(): Tenant[] {
    return [...this.#content.tenants.values()];
  }

  /** The names of all tenants in the file, closed ones included. */
  names(): string[] {
    return [...this.#content.tenants.keys(), ...this.#content.closed];
  }

  /** The names of the tenants whose sessions must end: closed tenants, and those with maxSessions 0. */
  ending(): string[] {
    const without = this.all().filter(({ maxSessions }) => maxSessions === 0);
    return [...without.map(({ name }) => name), ...this.#content.closed];
  }

  /** The namespaces of all tenants except closed ones. */
  namespaces(): string[] {
    return this.all().map((tenant) => tenant.namespace);
  }

  findKeyHolder(key: string): KeyHolder | undefined {
    return findKeyHolder(this.#content, key, Date.now());
  }

  /**
   * A number in the file. The writer of the file raises this number with every change. Pods see a change at different times,
   * and the number shows which of two versions of the file is newer.
   */
  get generation(): number {
    return this.#content.generation;
  }

  /** Calls the listener after every change that was accepted. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  async #reload(): Promise<void> {
    // Only one read at a time. Of two overlapping reads, the older one could finish last, and bring older tenants back.
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      const text = await readFile(this.path, "utf8");
      if (text === this.#read) return;
      this.#read = text; // also if the text is not valid, so that the error is logged once
      this.#content = parseTenants(text);
    } catch (error) {
      this.logger.error({ err: error }, "the tenants file can't be used; the previous tenants stay in force");
      return;
    } finally {
      this.#isReading = false;
    }
    this.logger.info({ tenants: [...this.#content.tenants.keys()] }, "tenants read");
    for (const listener of this.#listeners) listener();
  }
}
