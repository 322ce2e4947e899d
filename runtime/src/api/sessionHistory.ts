/** Reads from the platform's Prometheus what sessions used over time. Prometheus scrapes berthd in each session's pod. */
import type { Logger } from "pino";
import { z } from "zod";
import type { Session } from "../domain/session.ts";
import { Problem } from "./http/problem.ts";

/**
 * An answer has the values of at most this many points in time. For each point in time, Prometheus evaluates each series of
 * the session once.
 */
export const mostPoints = 500;

/**
 * The maximum number of series in an answer: five, and one for each disk. The limit is needed because a session's programs can
 * report any number of disks.
 */
const mostSeries = 16;

/** The values of a point in time describe at least this many seconds before it: four scrapes. A rate needs two scrapes. */
const leastWindow = 120;

/**
 * How many queries all processes together send at the same time, and how many of them may be of one tenant. Prometheus
 * runs 20 queries at the same time, and the other 8 are for alerts and autoscalers.
 */
const [atOnce, atOnceOfTenant] = [12, 3];

/** How many milliseconds Prometheus may take to answer a query. */
const patienceMs = 10_000;

/** Times in seconds since 1970. */
export interface Span {
  from: number;
  to: number;
  step: number;
}

export interface HistoryPoint {
  at: string;
  cpus: number | null;
  memoryBytes: number | null;
  disks: { path: string; usedBytes: number }[];
  network: { receivedBytesPerSecond: number | null; sentBytesPerSecond: number | null };
  processes: number | null;
}

const PrometheusAnswer = z.object({
  data: z.object({
    result: z.array(
      z.object({
        metric: z.object({ figure: z.string(), path: z.string().default("") }),
        values: z.array(z.tuple([z.number(), z.string()])),
      }),
    ),
  }),
});

/** Takes a place for each query, so that the processes together do not run too many queries; see gateway/places.ts. */
export interface HistoryPlaces {
  take: (limits: { of: string; places: number; refusal: string }[]) => Promise<() => void>;
}

export class SessionHistory {
  constructor(
    private readonly url: string,
    private readonly places: HistoryPlaces,
    private readonly logger: Pick<Logger, "warn">,
  ) {}

  /**
   * Returns the points that have a value, oldest first. Throws a Problem: 429 if too many queries of the tenant, or
   * of all tenants together, run at the same time; 503 if Prometheus does not answer.
   */
  async of(session: Pick<Session, "id" | "tenant">, span: Span): Promise<HistoryPoint[]> {
    const release = await this.places.take([
      {
        of: `history:tenant:${session.tenant}`,
        places: atOnceOfTenant,
        refusal: `The tenant asks for metrics over time ${atOnceOfTenant} times at the same time. Wait for an answer.`,
      },
      { of: "history", places: atOnce, refusal: "Too many tenants ask for metrics over time now. Please try again." },
    ]);
    try {
      return pointsOf(await this.#ask(session, span));
    } catch (error) {
      this.logger.warn({ err: error, sessionId: session.id }, "prometheus can't be asked for a session's metrics");
      throw new Problem(503, "Metrics over time can't be asked for at the moment. Please try again.");
    } finally {
      release();
    }
  }

  async #ask(
    session: Pick<Session, "id" | "tenant">,
    { from, to, step }: Span,
  ): Promise<z.infer<typeof PrometheusAnswer>> {
    const body = new URLSearchParams({
      query: queryFor(session, Math.max(step, leastWindow)),
      start: String(from),
      end: String(to),
      step: String(step),
      timeout: `${patienceMs}ms`,
      limit: String(mostSeries),
    });
    const signal = AbortSignal.timeout(patienceMs);
    const response = await fetch(`${this.url}/api/v1/query_range`, { method: "POST", body, redirect: "error", signal });
    if (!response.ok) throw new Error(`answered ${response.status}: ${(await response.text()).slice(0, 500)}`);
    return PrometheusAnswer.parse(await response.json());
  }
}

/**
 * One query for all figures; the label `figure` says to which figure a series belongs. The query contains the session's id
 * and tenant from the database, and no text of a user. The counters of a resumed session begin again with its next pod,
 * so `rate` is computed for each pod, and the rates are then added up.
 */
function queryFor({ id, tenant }: Pick<Session, "id" | "tenant">, window: number): string {
  const series = (name: string) => `${name}{job="sessions",tenant="${tenant}",session="${id}"}[${window}s]`;
  const rate = (name: string) => `sum(rate(${series(name)}))`;
  const most = (name: string, by = "") => `max ${by}(max_over_time(${series(name)}))`;
  const figures = {
    cpus: rate("session_cpu_seconds_total"),
    memory: most("session_memory_bytes"),
    disk: most("session_disk_used_bytes", "by (path) "),
    received: rate("session_network_received_bytes_total"),
    sent: rate("session_network_sent_bytes_total"),
    processes: most("session_processes"),
  };
  return Object.entries(figures)
    .map(([figure, query]) => `label_replace(${query}, "figure", "${figure}", "", "")`)
    .join(" or ");
}

function pointsOf({ data }: z.infer<typeof PrometheusAnswer>): HistoryPoint[] {
  const points = new Map<number, HistoryPoint>();
  for (const { metric, values } of data.result) {
    for (const [time, text] of values) {
      const value = Number(text);
      if (!Number.isFinite(value)) continue; // a session's programs can report any text as a value
      const point = points.get(time) ?? emptyPoint(time);
      points.set(time, point);
      put(point, metric, value);
    }
  }
  return [...points].sort(([a], [b]) => a - b).map(([, point]) => point);
}

const emptyPoint = (time: number): HistoryPoint => ({
  at: new Date(time * 1000).toISOString(),
  cpus: null,
  memoryBytes: null,
  disks: [],
  network: { receivedBytesPerSecond: null, sentBytesPerSecond: null },
  processes: null,
});

function put(point: HistoryPoint, { figure, path }: { figure: string; path: string }, value: number): void {
  if (figure === "cpus") point.cpus = value;
  else if (figure === "memory") point.memoryBytes = value;
  else if (figure === "disk") point.disks.push({ path, usedBytes: value });
  else if (figure === "received") point.network.receivedBytesPerSecond = value;
  else if (figure === "sent") point.network.sentBytesPerSecond = value;
  else if (figure === "processes") point.processes = value;
}
