/**
 * The API's promise: of a thousand requests, at most one fails by the API's fault (99.9 % over 30 days). Alerts look at how
 * fast what may fail is used up, in a long window for certainty and a short one to end with the fault (Google's SRE
 * Workbook, chapter 5).
 */
import type { Alert, Recording } from "./alert.ts";

const mayFail = 0.001;
/** A single failure of a quiet night is no outage. */
const failuresAtLeast = 10;

/** Users' requests, each counted by the one who answered it; not those of probes and of Prometheus. */
const requests = (more = "") =>
  `http_requests_total{job="platform",component=~"api|gateway",route!~"/health.*|/metrics"${more}}`;
const failures = requests(',status=~"5.."');

/** Burning `factor` times as fast as the promise allows uses up 2, 5, 10 and 10 % of a month's budget before it is told. */
const burns = [
  { long: "1h", short: "5m", factor: 14.4, for: "2m", severity: "page" },
  { long: "6h", short: "30m", factor: 6, for: "15m", severity: "page" },
  { long: "1d", short: "2h", factor: 3, for: "1h", severity: "ticket" },
  { long: "3d", short: "6h", factor: 1, for: "3h", severity: "ticket" },
] as const;

const ratio = (window: string) => `berth:api_failures:ratio_rate${window}`;

/** No failures are 0, no requests are nothing. */
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
  description: `That is more than ${factor} times what 99.9 % allows, and it goes on. See which routes answer 5xx, and whether Postgres and Redis are up.`,
}));
