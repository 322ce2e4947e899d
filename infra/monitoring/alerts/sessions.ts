/** Alerts about sessions that do not start or end in time, about jobs in the queue, and about orphaned objects. */
import { type Alert, everyProcessSays } from "./alert.ts";

const started = 'berth_session_start_duration_seconds_bucket{job="platform"}';
const starts = 'berth_session_start_duration_seconds_count{job="platform"}';

export const sessionAlerts: Alert[] = [
  {
    name: "SessionStartSlow",
    severity: "ticket",
    // 30 s is the upper bound of a histogram bucket, so the percentile is exact. Fewer than 10 starts are too few for an alert.
    expr: [
      `histogram_quantile(0.95, sum by (tier, le) (rate(${started}[15m]))) > 30`,
      `and on (tier) sum by (tier) (increase(${starts}[15m])) >= 10`,
    ].join(" "),
    for: "10m",
    summary: "One in twenty {{ $labels.tier }} sessions takes longer than 30 s to start.",
    description:
      "The 95th percentile of the time from created to running is {{ $value | humanizeDuration }}. Check for pods that wait for a node, an image or a volume, and for jobs that wait for a worker.",
  },
  {
    name: "ImagesMissing",
    severity: "ticket",
    // If the Kubernetes API is slow, a scrape of the worker lacks the metric. So the expression uses the last three minutes.
    expr: 'count by (image, tenant) (max by (node, image, tenant) (last_over_time(berth_images_missing{job="platform"}[3m])))',
    for: "15m",
    summary: "{{ $value }} nodes do not have the image {{ $labels.image }}, which sessions need.",
    description:
      "The first session on such a node waits for the pull, or never starts. Possible causes: the registry no longer has the image, the pull secret is wrong, or the disk of the node is full. berth_images_missing names the nodes.",
  },
  {
    name: "SessionsStuck",
    severity: "page",
    expr: `${everyProcessSays("berth_sessions_stuck", "state")} > 0`,
    for: "5m",
    summary: "{{ $value }} sessions are in the state {{ $labels.state }} for too long.",
    description:
      "The worker reconciles each of these sessions again and again without success. Its log has the reason for each session.",
  },
  {
    name: "SessionsWithoutTenant",
    severity: "page",
    expr: `${everyProcessSays("berth_sessions_without_tenant")} > 0`,
    // After a change, pods read the new tenants file at different times, within two minutes.
    for: "10m",
    summary: "The tenants of {{ $value }} sessions are missing from the tenants file.",
    description:
      "The sessions still run, but the worker does not reconcile them, and the API refuses their tenants' keys. The Secret tenants is damaged, or a tenant's entry was removed before its sessions ended.",
  },
  {
    name: "ReconcileStale",
    severity: "page",
    expr: `${everyProcessSays("berth_reconcile_age_seconds")} > 300`,
    for: "5m",
    summary:
      "The last complete sweep over all unfinished sessions, or the last planning of starts, was {{ $value | humanizeDuration }} ago.",
    description:
      "The leader's sweep compares every unfinished session with the cluster, and the leader's planner decides which queued sessions start. One of them does not finish, because the Kubernetes API or Postgres is slow, or because there are too few workers.",
  },
  {
    name: "Orphans",
    severity: "ticket",
    expr: `${everyProcessSays("berth_orphans", "kind")} > 0`,
    for: "15m",
    summary: "There are {{ $value }} orphans of the kind {{ $labels.kind }}.",
    description:
      "An orphan of the kind pod or claim is an object that belongs to no session. An orphan of the kind row is a session whose objects are gone. The sweep repairs a row within two minutes, and deletes a pod or claim after five, unless Kubernetes refuses the changes.",
  },
  {
    name: "QueueNotDraining",
    severity: "page",
    expr: [
      `${everyProcessSays("berth_oldest_waiting_job_age_seconds")} > 120`,
      `(${everyProcessSays("bullmq_waiting_jobs")} > 0 and sum(rate(berth_reconciles_total{job="platform"}[5m])) == 0)`,
    ].join(" or "),
    for: "5m",
    summary: "Jobs wait in the queue and no worker takes them.",
    description:
      "The oldest job has waited for more than two minutes, or jobs wait and no job was done for five minutes. Check whether workers run and reach Redis, and whether the number of workers is at its maximum.",
  },
  {
    name: "LeaderMissing",
    severity: "page",
    expr: '(sum(berth_leader{job="platform"}) or vector(0)) != 1',
    for: "3m",
    summary: "{{ $value }} workers say that they are the leader, but there must be exactly one leader.",
    description:
      "Without a leader there is no sweep, so lost events are not corrected and orphans stay. With two leaders, work is done twice. Check the Lease in the platform's namespace and the workers' logs.",
  },
  {
    name: "WatchRestarts",
    severity: "ticket",
    expr: 'sum by (pod) (increase(berth_watch_restarts_total{job="platform"}[15m])) > 20',
    for: "5m",
    summary: "{{ $labels.pod }} restarted its watches {{ $value | humanize }} times in 15 minutes.",
    description:
      "The worker gets pod events late or not at all. The sweep corrects this, but more slowly. The Kubernetes API is overloaded or restarts, or something in the network closes connections.",
  },
];
