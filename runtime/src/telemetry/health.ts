/**
 * The three kinds of probes.
 *
 * - startup: succeeds once Postgres has answered and has the tables of this version.
 * - live: would a restart help? Only the process itself is checked: its event loop, and whether each of its loops
 *   still makes iterations.
 * - ready: should the process get work? Yes if the required dependencies answer and the process does not shut down. The
 *   API and the gateway require only Postgres: without Redis they still accept sessions (Postgres stores them, and the
 *   sweep finds them) and show desktops. The worker requires Redis too.
 */
import { type HealthIndicatorFunction, HealthIndicatorService } from "@nestjs/terminus";

export interface Dependency {
  name: string;
  /** Rejects if the dependency does not answer. */
  ping: () => Promise<unknown>;
  /**
   * Whether the process can't work without this dependency. If an optional dependency does not answer, the process reports
   * `degraded` and stays ready. Default: true.
   */
  required?: boolean;
}

/** A loop of this process that the live probe checks. */
export interface WatchedLoop {
  name: string;
  /** Whether the loop made an iteration recently, even if the iteration failed. */
  isAlive: () => boolean;
}

export interface HealthOptions {
  dependencies: Dependency[];
  /** Whether the database has the tables of this version. */
  isMigrated: () => Promise<boolean>;
  /** Default: no loops. */
  loops?: WatchedLoop[];
}

const timeoutMs = 1_500;
/** For how many milliseconds a dependency's answer is cached, because probes come often. */
const cacheMs = 1_000;
/** If a timer is this many milliseconds late, the event loop is blocked. */
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

  /** From now on the process is not ready, because it is about to end. */
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
      { name: "event-loop", isAlive: () => performance.now() - this.#ticked < eventLoopMs },
      ...(this.options.loops ?? []),
    ];
    return loops.map(({ name, isAlive }) => () => {
      const loop = this.#indicators.check(name);
      return isAlive() ? loop.up() : loop.down("stuck");
    });
  }

  ready(): HealthIndicatorFunction[] {
    if (this.#draining) return [() => this.#indicators.check("process").down("shutting down")];
    return this.options.dependencies.map(({ name, ping, required = true }) => async () => {
      const dependency = this.#indicators.check(name);
      // The answer leaves out the details of the error, because everybody can read the answer.
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
