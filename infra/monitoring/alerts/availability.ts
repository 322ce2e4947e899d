/**
 * The API's service level objective: at most one of 1,000 requests fails because of the API (99.9 % over 30 days). The
 * alerts watch how fast the error budget is used up. Each alert has two windows. The long window avoids false alarms. The
 * short window ends the alert soon after the problem ends (Google's SRE Workbook, chapter 5).
 */
import type { Alert, Recording } from "./alert.ts";

const mayFail = 0.001;
/** The long window must have at least this many failures, because one failure among few requests is not an outage. */
const failuresAtLeast = 10;

/** Requests of users to the API and the gateway, without requests of probes and of Prometheus. */
const requests = (more = "") =>
  `http_requests_total{job="platform",component=~"api|gateway",route!~"/health.*|/metrics"${more}}`;
const failures = requests(',status=~"5.."');

/**
 * An alert fires if failures use the error budget more than `factor` times as fast as the objective allows, in both windows,
 * and the long window has at least `failuresAtLeast` failures. Both conditions must hold for the time `for`. When the four
 * alerts fire, about 2, 5, 10 and 10 % of a month's error budget are used.
 */
const burns = [
  { long: "1h", short: "5m", factor: 14.4, for: "2m", severity: "page" },
  { long: "6h", short: "30m", factor: 6, for: "15m", severity: "page" },
  { long: "1d", short: "2h", factor: 3, for: "1h", severity: "ticket" },
  { long: "3d", short: "6h", factor: 1, for: "3h", severity: "ticket" },
] as const;

const ratio = (window: string) => `berth:api_failures:ratio_rate${window}`;

/** The rate of failed requests. Without failures, the rate is 0. Without requests, the rate has no value. */
export const availabilityRecordings: Recording[] = burns
  .flatMap(({ long, short }) => [short, long])
  .map((window) => ({
    record: ratio(window),
    expr: `(sum(rate(${failures}[${window}])) or vector(0)) / (sum(rate(${requests()}[${window}])) > 0)`,
  }));

export const availabilityAlerts: Alert[] = burns.map(({ long, short, factor, for: pending, severity }) => ({
  name: "ApiErrorBudgetBurn",
  severity,
  expr: [
    `${ratio(long)} > ${factor} * ${mayFail}`,
    `${ratio(short)} > ${factor} * ${mayFail}`,
    `sum(increase(${failures}[${long}])) >= ${failuresAtLeast}`,
  ].join(" and "),
  for: pending,
  labels: { window: long },
  summary: `The API fails {{ $value | humanizePercentage }} of the requests of the last ${long}.`,
  description: `The rate of failures is more than ${factor} times what 99.9 % allows, and the API still fails. Check which routes answer 5xx, and whether Postgres and Redis are up.`,
}));
