/**
 * The three questions a cluster asks.
 *
 * - startup: can it begin? Postgres answers and has this version's tables.
 * - live: would a restart help? Only the process itself is looked at: its event loop, and the last turn of each of its loops.
 * - ready: shall it get work? The dependencies it can't work without answer. For the API that is Postgres alone: without
 *   Redis it still takes sessions (they are in Postgres, and the sweep finds them) and shows desktops. For the worker it
 *   is Redis too.
 */
import { type HealthIndicatorFunction, HealthIndicatorService } from "@nestjs/terminus";

export interface Dependency {
  name: string;
  /** Rejects if the dependency does not answer. */
  ping: () => Promise<unknown>;
  /** Whether the process can't work without it; if it can, it is degraded without. Default true. */
  required?: boolean;
}

/** Something that goes round and round in this process. */
export interface WatchedLoop {
  name: string;
  /** Whether its last turn is recent, whatever that turn came to. */
  isTurning: () => boolean;
}

export interface HealthOptions {
  dependencies: Dependency[];
  /** Whether the tables are there. */
  isMigrated: () => Promise<boolean>;
  /** Default: none. */
  loops?: WatchedLoop[];
}

const timeoutMs = 1_500;
/** Probes of several kinds and pods come often: an answer is good for this long. */
const cacheMs = 1_000;
/** Timers that are so late mean that the event loop does nothing but one thing. */
const eventLoopMs = 30_000;

export class Health {
  readonly #indicators = new HealthIndicatorService();
  readonly #clock: NodeJS.Timeout;
  #ticked = performance.now();
  #started = false;
  #draining = false;

  constructor(private readonly options: HealthOptions) {
    this.#clock = setInterval(() => {
      this.#ticked = performance.now();
    }, 1_000).unref();
  }

  /** From now on not ready: the process is about to end. */
  drain(): void {
    this.#draining = true;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  onApplicationShutdown(): void {
    clearInterval(this.#clock);
  }

  startup(): HealthIndicatorFunction[] {
    const database = this.#indicators.check("database");
    if (this.#started) return [() => database.up()];
    return [
      () =>
        database
          .attempt(async () => {
            this.#started = await this.options.isMigrated().catch(() => failure("no answer"));
            if (!this.#started) failure("not migrated yet");
          })
          .withTimeout(timeoutMs),
    ];
  }

  live(): HealthIndicatorFunction[] {
    const loops = [
      { name: "event-loop", isTurning: () => performance.now() - this.#ticked < eventLoopMs },
      ...(this.options.loops ?? []),
    ];
    return loops.map(({ name, isTurning }) => () => {
      const loop = this.#indicators.check(name);
      return isTurning() ? loop.up() : loop.down("stuck");
    });
  }

  ready(): HealthIndicatorFunction[] {
    if (this.#draining) return [() => this.#indicators.check("process").down("shutting down")];
    return this.options.dependencies.map(({ name, ping, required = true }) => async () => {
      const dependency = this.#indicators.check(name);
      // What went wrong in detail is for the log; this is told to everybody.
      const result = await dependency
        .attempt(() => ping().then(undefined, () => failure("no answer")))
        .withTimeout(timeoutMs)
        .cacheFor(cacheMs);
      return required || result[name]?.status === "up" ? result : dependency.degraded("no answer");
    });
  }
}

function failure(message: string): never {
  throw new Error(message);
}
