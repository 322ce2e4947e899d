/** Whether sessions start, move on, and leave nothing behind. */
import { type Alert, everyProcessSays } from "./alert.ts";

const started = 'berth_session_start_duration_seconds_bucket{job="platform"}';
const starts = 'berth_session_start_duration_seconds_count{job="platform"}';

export const sessionAlerts: Alert[] = [
  {
    name: "SessionStartSlow",
    severity: "ticket",
    // A bucket's border, so that the share is exact; a handful of starts says nothing.
    expr: [
      `histogram_quantile(0.95, sum by (tier, le) (rate(${started}[15m]))) > 30`,
      `and on (tier) sum by (tier) (increase(${starts}[15m])) >= 10`,
    ].join(" "),
    for: "10m",
    summary: "One in twenty {{ $labels.tier }} sessions takes longer than 30 s to start.",
    description:
      "The 95th percentile from created to running is {{ $value | humanizeDuration }}. Look for pods that wait for a node, an image or a volume, and for jobs that wait for a worker.",
  },
  {
    name: "SessionsStuck",
    severity: "page",
    expr: `${everyProcessSays("berth_sessions_stuck", "state")} > 0`,
    for: "5m",
    summary: "{{ $value }} sessions are {{ $labels.state }} for longer than they may be.",
    description: "The worker looks at each again and again and gets no further. Its log says why, by session.",
  },
  {
    name: "SessionsWithoutTenant",
    severity: "page",
    expr: `${everyProcessSays("berth_sessions_without_tenant")} > 0`,
    // A new tenant reaches the pods at different times, within a minute or two.
    for: "10m",
    summary: "The tenants file does not name the tenants of {{ $value }} sessions.",
    description:
      "The sessions run on, but nobody looks after them and their tenants' keys are refused. The Secret tenants is damaged, or a tenant was taken out before its sessions had ended.",
  },
  {
    name: "ReconcileStale",
    severity: "page",
    expr: `${everyProcessSays("berth_reconcile_age_seconds")} > 300`,
    for: "5m",
    summary: "All unfinished sessions were last compared with the cluster {{ $value | humanizeDuration }} ago.",
    description:
      "The leader's sweep compares every unfinished session with the cluster. It doesn't get through: the Kubernetes API or Postgres is slow, or there are too few workers.",
  },
  {
    name: "Orphans",
    severity: "ticket",
    expr: `${everyProcessSays("berth_orphans", "kind")} > 0`,
    for: "15m",
    summary: "{{ $value }} orphans of kind {{ $labels.kind }}.",
    description:
      "pod, claim: they belong to no session and are still there. row: a session whose objects are gone. The sweep repairs both within a minute or two, unless Kubernetes refuses.",
  },
  {
    name: "QueueNotDraining",
    severity: "page",
    expr: [
      `${everyProcessSays("berth_oldest_waiting_job_age_seconds")} > 120`,
      `(${everyProcessSays("bullmq_waiting_jobs")} > 0 and sum(rate(berth_reconciles_total{job="platform"}[5m])) == 0)`,
    ].join(" or "),
    for: "5m",
    summary: "Jobs wait and no worker takes them.",
    description:
      "The oldest waits for more than two minutes, or nothing was done for five. Look whether workers run and reach Redis, and whether there are as many as there may be.",
  },
  {
    name: "LeaderMissing",
    severity: "page",
    expr: '(sum(berth_leader{job="platform"}) or vector(0)) != 1',
    for: "3m",
    summary: "{{ $value }} of the workers think that they are the leader; it must be one.",
    description:
      "Without a leader nothing sweeps: lost events are not made up for and orphans stay. With two, work is done twice. Look at the Lease in the platform's namespace and at the workers' logs.",
  },
  {
    name: "WatchRestarts",
    severity: "ticket",
    expr: 'sum by (pod) (increase(berth_watch_restarts_total{job="platform"}[15m])) > 20',
    for: "5m",
    summary: "{{ $labels.pod }} had to make its watches anew {{ $value | humanize }} times in 15 minutes.",
    description:
      "Pod events come late or not at all; the sweep makes up for them, but slower. The Kubernetes API is overloaded, restarts, or something between closes connections.",
  },
];
