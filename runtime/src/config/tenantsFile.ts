/** Keeps the tenants up to date with their file. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { findKeyHolder, type KeyHolder, parseTenants, type Tenant, type Tenants } from "../domain/tenants.ts";

export class TenantsFile implements OnApplicationShutdown {
  /** What was read last, be it wrong. */
  #read: string;
  #content: Tenants;
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
    this.#read = readFileSync(path, "utf8");
    this.#content = parseTenants(this.#read);
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

  /** Grows with each change of the file: each pod gets it at a time of its own, and another's may have been first. */
  get generation(): number {
    return this.#content.generation;
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
      const text = await readFile(this.path, "utf8");
      if (text === this.#read) return;
      this.#read = text; // also if it is wrong, so that it is complained about once
      this.#content = parseTenants(text);
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
