/** An alert of this folder, before it becomes a rule of Prometheus. docs/operating.md has a section for each alert. */
export interface Alert {
  /**
   * The alert's name without the prefix `Berth`. Prometheus shows the prefix, because other alerts of the cluster may have
   * the same names.
   */
  name: string;
  /**
   * page: users notice the problem now or soon, so a person must react at once. ticket: the problem can wait until the next
   * working day.
   */
  severity: "page" | "ticket";
  /** The condition in PromQL. The alert fires for each series of the result. */
  expr: string;
  /** How long the condition must hold before the alert fires, for example 5m. Default: the alert fires immediately. */
  for?: string;
  /** A one-line summary of the alert, in the template language of Prometheus. */
  summary: string;
  /** The meaning of the alert, and what to check first. */
  description: string;
  labels?: Record<string, string>;
}

/** A recording rule: a query whose result Prometheus computes and stores regularly. */
export interface Recording {
  record: string;
  expr: string;
}

/**
 * A query for a metric that every process reports with the same value. The query uses the maximum, because a sum would count
 * the value several times.
 */
export const everyProcessSays = (metric: string, ...by: string[]): string =>
  `max${by.length > 0 ? ` by (${by.join(", ")})` : ""} (${metric}{job="platform"})`;
