/**
 * The three questions a cluster asks.
 *
 * - startup: can it begin? Postgres answers and has this version's tables.
 * - live: would a restart help? Only the process itself is looked at: that it answers, and that its loop turns.
 * - ready: shall it get work? The dependencies it can't work without answer. For the API that is Postgres alone: without
 *   Redis it still takes sessions (they are in Postgres, and the sweep finds them) and shows desktops. For the worker it
 *   is Redis too.
 */
import { within } from "../within.ts";

export interface Dependency {
  name: string;
  /** Rejects if the dependency does not answer. */
  ping: () => Promise<unknown>;
  /** Whether the process can't work without it. Default true. */
  required?: boolean;
}

export interface HealthOptions {
  dependencies: Dependency[];
  /** Whether the tables are there. */
  isMigrated: () => Promise<boolean>;
  /** Whether the process's own loop turns. Default: it has none. */
  isTurning?: () => boolean;
}

export interface Report {
  ok: boolean;
  checks: Record<string, "ok" | "failed" | "not migrated" | "stuck" | "shutting down">;
}

const timeoutMs = 1_500;
/** Probes of several kinds and pods come often: an answer is good for this long. */
const cacheMs = 1_000;

export class Health {
  #started = false;
  #draining = false;
  #ready: { at: number; report: Promise<Report> } | undefined;

  constructor(private readonly options: HealthOptions) {}

  /** From now on not ready: the process is about to end. */
  drain(): void {
    this.#draining = true;
  }

  async startup(): Promise<Report> {
    if (this.#started) return { ok: true, checks: { database: "ok" } };
    try {
      this.#started = await within(timeoutMs, this.options.isMigrated());
      return { ok: this.#started, checks: { database: this.#started ? "ok" : "not migrated" } };
    } catch {
      return { ok: false, checks: { database: "failed" } };
    }
  }

  live(): Report {
    const ok = this.options.isTurning?.() ?? true;
    return { ok, checks: { loop: ok ? "ok" : "stuck" } };
  }

  async ready(): Promise<Report> {
    if (this.#draining) return { ok: false, checks: { process: "shutting down" } };
    const now = performance.now();
    if (this.#ready === undefined || now - this.#ready.at > cacheMs) {
      this.#ready = { at: now, report: this.#askDependencies() };
    }
    return this.#ready.report;
  }

  async #askDependencies(): Promise<Report> {
    const report: Report = { ok: true, checks: {} };
    await Promise.all(
      this.options.dependencies.map(async ({ name, ping, required = true }) => {
        const ok = await within(timeoutMs, ping()).then(
          () => true,
          () => false,
        );
        report.checks[name] = ok ? "ok" : "failed";
        if (!ok && required) report.ok = false;
      }),
    );
    return report;
  }
}
