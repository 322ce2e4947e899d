/** Keeps the tenants up to date with their file. */
import { readFileSync, type Stats, unwatchFile, watchFile } from "node:fs";
import type { OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { findKeyHolder, type KeyHolder, parseTenants, type Tenant } from "./tenants.ts";

export class TenantsFile implements OnApplicationShutdown {
  #tenants: Map<string, Tenant>;
  readonly #listeners: (() => void)[] = [];

  /** Reads the file; throws if it can't be read or is wrong. A later version that is wrong is logged and not taken. */
  constructor(
    private readonly path: string,
    private readonly logger: Logger,
    /** How often the file is looked at, in milliseconds. Default 2000. */
    intervalMs = 2_000,
  ) {
    this.#tenants = parseTenants(readFileSync(path, "utf8"));
    // Polled: Kubernetes swaps a mounted Secret by renaming a symlink two folders up, which file events don't tell.
    watchFile(path, { interval: intervalMs, persistent: false }, this.#reload);
  }

  get(name: string): Tenant | undefined {
    return this.#tenants.get(name);
  }

  /** The namespaces of all tenants. */
  namespaces(): string[] {
    return [...this.#tenants.values()].map((tenant) => tenant.namespace);
  }

  findKeyHolder(key: string): KeyHolder | undefined {
    return findKeyHolder(this.#tenants, key);
  }

  /** Calls the listener after every change that was taken. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  onApplicationShutdown(): void {
    unwatchFile(this.path, this.#reload);
  }

  // A plain property, so that unwatchFile takes off this listener and no other's.
  readonly #reload = (_now: Stats, _before: Stats): void => {
    try {
      this.#tenants = parseTenants(readFileSync(this.path, "utf8"));
    } catch (error) {
      this.logger.error({ err: error }, "the tenants file is wrong; the tenants of before stay");
      return;
    }
    this.logger.info({ tenants: [...this.#tenants.keys()] }, "tenants read");
    for (const listener of this.#listeners) listener();
  };
}
