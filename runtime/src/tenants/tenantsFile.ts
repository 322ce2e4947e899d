/** Keeps the tenants up to date with their file. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { findKeyHolder, type KeyHolder, parseTenants, type Tenant, type Tenants } from "./tenants.ts";

export class TenantsFile implements OnApplicationShutdown {
  #text: string;
  #content: Tenants;
  readonly #listeners: (() => void)[] = [];
  readonly #timer: NodeJS.Timeout;

  /** Reads the file; throws if it can't be read or is wrong. A later version that is wrong is logged and not taken. */
  constructor(
    private readonly path: string,
    private readonly logger: Logger,
    /** How often the file is read, in milliseconds. Default 2000. */
    intervalMs = 2_000,
  ) {
    this.#text = readFileSync(path, "utf8");
    this.#content = parseTenants(this.#text);
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

  /** Calls the listener after every change that was taken. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  async #reload(): Promise<void> {
    try {
      const text = await readFile(this.path, "utf8");
      if (text === this.#text) return;
      this.#text = text; // also if it is wrong, so that it is complained about once
      this.#content = parseTenants(text);
    } catch (error) {
      this.logger.error({ err: error }, "the tenants file is wrong; the tenants of before stay");
      return;
    }
    this.logger.info({ tenants: [...this.#content.tenants.keys()] }, "tenants read");
    for (const listener of this.#listeners) listener();
  }
}
