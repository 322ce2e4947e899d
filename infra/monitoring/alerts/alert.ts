/** An alert, as it is written in the files of this folder. docs/operating.md has a section for each. */
export interface Alert {
  /** In Prometheus with `Berth` before it: names are shared with the cluster's other alerts. */
  name: string;
  /** page: users notice, or soon will; somebody gets up. ticket: it can wait for the morning. */
  severity: "page" | "ticket";
  /** PromQL; the alert is on for each series of the result. */
  expr: string;
  /** How long before it is told, for example 5m. Default: at once. */
  for?: string;
  /** One line; Prometheus' template language. */
  summary: string;
  /** What it means, and where to look first. */
  description: string;
  labels?: Record<string, string>;
}

/** A figure that Prometheus works out beforehand. */
export interface Recording {
  record: string;
  expr: string;
}

/** Figures of stores are the same from every process: the highest is taken, not the sum. */
export const everyProcessSays = (metric: string, ...by: string[]): string =>
  `max${by.length > 0 ? ` by (${by.join(", ")})` : ""} (${metric}{job="platform"})`;
