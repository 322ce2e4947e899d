/** Test cases for each alert: series in promtool's notation, and whether the alert fires. */

export interface Case {
  /** The alert's name, without `Berth`. */
  alert: string;
  what: string;
  series: Record<string, string>;
  /** The time between two samples and between two evaluations. Default 1m. */
  every?: string;
  /** The time at which the test checks the alerts, for example 20m. */
  at: string;
  /** The labels, without the severity, of each alert that fires at that time. An empty list: no alert fires. */
  fires: Record<string, string>[];
}

const api = (more: string) =>
  `http_requests_total{job="platform",component="api",pod="api-1",route="/v1/sessions"${more}}`;
/** 600 requests between two samples. The fraction `share` of the requests fails. */
const traffic = (share: number) => ({
  [api(',status="200"')]: `0+${600 * (1 - share)}x6000`,
  [api(',status="503"')]: `0+${600 * share}x6000`,
});
const leader = 'berth_leader{job="platform",pod="worker-1"}';
const waiting = 'bullmq_waiting_jobs{job="platform",queue="agent-sessions",pod="api-1"}';
const allUp = {
  'up{job="platform",component="api",pod="api-1"}': "1x60",
  'up{job="platform",component="gateway",pod="gateway-1"}': "1x60",
  'up{job="platform",component="worker",pod="worker-1"}': "1x60",
};
const starts = (le: string, count: string) => ({
  [`berth_session_start_duration_seconds_bucket{job="platform",pod="worker-1",tier="small",le="${le}"}`]: count,
});

export const cases: Case[] = [
  {
    alert: "ApiErrorBudgetBurn",
    what: "two in a hundred requests fail",
    series: traffic(0.02),
    at: "90m",
    fires: [{ window: "1h" }, { window: "6h" }, { window: "1d" }],
  },
  {
    alert: "ApiErrorBudgetBurn",
    what: "one in five hundred requests fails, for days",
    series: traffic(0.002),
    every: "15m",
    at: "80h",
    fires: [{ window: "3d" }],
  },
  {
    alert: "ApiErrorBudgetBurn",
    what: "as many requests fail as the objective allows",
    series: traffic(0.0005),
    every: "15m",
    at: "80h",
    fires: [],
  },
  {
    alert: "ApiErrorBudgetBurn",
    what: "all three requests of an hour fail",
    series: { [api(',status="503"')]: "0 0 1 2 3x60" },
    at: "30m",
    fires: [],
  },
  {
    alert: "ApiErrorBudgetBurn",
    what: "only readiness checks fail",
    series: { 'http_requests_total{job="platform",component="api",route="/health/ready",status="503"}': "0+60x200" },
    at: "90m",
    fires: [],
  },
  {
    alert: "SessionStartSlow",
    what: "one in five sessions takes a minute to start",
    series: {
      ...starts("30", "0+8x60"),
      ...starts("60", "0+10x60"),
      ...starts("+Inf", "0+10x60"),
      'berth_session_start_duration_seconds_count{job="platform",pod="worker-1",tier="small"}': "0+10x60",
    },
    at: "40m",
    fires: [{ tier: "small" }],
  },
  {
    alert: "SessionStartSlow",
    what: "one session started, slowly",
    series: {
      ...starts("30", "0 0 0x60"),
      ...starts("60", "0 1 1x60"),
      ...starts("+Inf", "0 1 1x60"),
      'berth_session_start_duration_seconds_count{job="platform",pod="worker-1",tier="small"}': "0 1 1x60",
    },
    at: "12m",
    fires: [],
  },
  {
    alert: "SessionsStuck",
    what: "every process reports the same two stuck sessions",
    series: {
      'berth_sessions_stuck{job="platform",pod="api-1",state="starting"}': "2x20",
      'berth_sessions_stuck{job="platform",pod="worker-1",state="starting"}': "2x20",
      'berth_sessions_stuck{job="platform",pod="worker-1",state="stopping"}': "0x20",
    },
    at: "10m",
    fires: [{ state: "starting" }],
  },
  {
    alert: "SessionsStuck",
    what: "one session was stuck and then continued",
    series: { 'berth_sessions_stuck{job="platform",pod="api-1",state="starting"}': "1 1 1 0x20" },
    at: "10m",
    fires: [],
  },
  {
    alert: "SessionsWithoutTenant",
    what: "the tenants file was emptied",
    series: { 'berth_sessions_without_tenant{job="platform",pod="worker-1"}': "0x5 12x30" },
    at: "20m",
    fires: [{}],
  },
  {
    alert: "SessionsWithoutTenant",
    what: "a new tenants file reaches the worker later than the API",
    series: { 'berth_sessions_without_tenant{job="platform",pod="worker-1"}': "0x5 1x4 0x30" },
    at: "12m",
    fires: [],
  },
  {
    alert: "ReconcileStale",
    what: "the sweep hangs",
    series: { 'berth_reconcile_age_seconds{job="platform",pod="worker-1"}': "0+60x30" },
    at: "15m",
    fires: [{}],
  },
  {
    alert: "ReconcileStale",
    what: "the sweep takes two minutes",
    series: {
      'berth_reconcile_age_seconds{job="platform",pod="worker-1"}': "0 60 120 0 60 120 0 60 120 0 60 120 0 60 120",
    },
    at: "14m",
    fires: [],
  },
  {
    alert: "ImagesMissing",
    what: "two nodes can't pull a tenant's image, whichever worker leads",
    series: {
      'berth_images_missing{job="platform",pod="worker-1",node="a",image="x@sha256:1",tenant="acme"}': "1x12 _x20",
      'berth_images_missing{job="platform",pod="worker-2",node="a",image="x@sha256:1",tenant="acme"}': "_x12 1x20",
      'berth_images_missing{job="platform",pod="worker-2",node="b",image="x@sha256:1",tenant="acme"}':
        "_x12 1 _ 1 1x20",
    },
    at: "30m",
    fires: [{ image: "x@sha256:1", tenant: "acme" }],
  },
  {
    alert: "ImagesMissing",
    what: "a node that has just joined has its images after some minutes",
    series: { 'berth_images_missing{job="platform",pod="worker-1",node="a",image="x@sha256:1",tenant=""}': "1x9 _x20" },
    at: "20m",
    fires: [],
  },
  {
    alert: "Orphans",
    what: "an orphaned claim stays",
    series: { 'berth_orphans{job="platform",pod="worker-1",kind="claim"}': "1x30" },
    at: "20m",
    fires: [{ kind: "claim" }],
  },
  {
    alert: "Orphans",
    what: "the sweep deletes an orphaned pod",
    series: { 'berth_orphans{job="platform",pod="worker-1",kind="pod"}': "1 1 1 0x30" },
    at: "20m",
    fires: [],
  },
  {
    alert: "QueueNotDraining",
    what: "the oldest job gets older",
    series: { 'berth_oldest_waiting_job_age_seconds{job="platform",pod="api-1"}': "0+60x20" },
    at: "12m",
    fires: [{}],
  },
  {
    alert: "QueueNotDraining",
    what: "jobs wait and no worker does any",
    series: { [waiting]: "3x30", 'berth_reconciles_total{job="platform",pod="worker-1",outcome="done"}': "7x30" },
    at: "20m",
    fires: [{}],
  },
  {
    alert: "QueueNotDraining",
    what: "many jobs wait and workers do them",
    series: {
      [waiting]: "30x30",
      'berth_oldest_waiting_job_age_seconds{job="platform",pod="api-1"}': "20x30",
      'berth_reconciles_total{job="platform",pod="worker-1",outcome="done"}': "0+60x30",
    },
    at: "20m",
    fires: [],
  },
  { alert: "LeaderMissing", what: "no worker runs", series: {}, at: "10m", fires: [{}] },
  { alert: "LeaderMissing", what: "no worker is the leader", series: { [leader]: "0x20" }, at: "10m", fires: [{}] },
  {
    alert: "LeaderMissing",
    what: "two lead",
    series: { [leader]: "1x20", 'berth_leader{job="platform",pod="worker-2"}': "1x20" },
    at: "10m",
    fires: [{}],
  },
  {
    alert: "LeaderMissing",
    what: "one worker is the leader, then another",
    series: { [leader]: "1 1 1 1 0x10", 'berth_leader{job="platform",pod="worker-2"}': "0 0 0 0 0 1x10" },
    at: "10m",
    fires: [],
  },
  {
    alert: "WatchRestarts",
    what: "a watch restarts twice a minute",
    series: { 'berth_watch_restarts_total{job="platform",pod="worker-1"}': "0+2x40" },
    at: "30m",
    fires: [{ pod: "worker-1" }],
  },
  {
    alert: "WatchRestarts",
    what: "the Kubernetes API restarted once and ended ten watches",
    series: { 'berth_watch_restarts_total{job="platform",pod="worker-1"}': "0 0 10x40" },
    at: "10m",
    fires: [],
  },
  {
    alert: "TargetDown",
    what: "a pod doesn't answer",
    series: { ...allUp, 'up{job="platform",component="api",pod="api-1"}': "0x60" },
    at: "10m",
    fires: [{ job: "platform", component: "api", pod: "api-1" }],
  },
  {
    alert: "TargetDown",
    what: "no worker and no gateway runs",
    series: { 'up{job="platform",component="api",pod="api-1"}': "1x60" },
    at: "10m",
    fires: [
      { job: "platform", component: "gateway" },
      { job: "platform", component: "worker" },
    ],
  },
  { alert: "TargetDown", what: "all pods answer", series: allUp, at: "10m", fires: [] },
  {
    alert: "CrashLoop",
    what: "a process restarts every three minutes",
    series: { 'process_start_time_seconds{job="platform",pod="worker-1"}': "0 0 0 1 1 1 2 2 2 3 3 3 4 4 4 5 5" },
    at: "15m",
    fires: [{ job: "platform", pod: "worker-1" }],
  },
  {
    alert: "CrashLoop",
    what: "a container without metrics restarts every three minutes",
    series: {
      'container_start_time_seconds{job="kubelets",node="n",namespace="berth",pod="redis-0",container="redis"}':
        "0 0 0 1 1 1 2 2 2 3 3 3 4 4 4 5 5",
    },
    at: "15m",
    fires: [{ namespace: "berth", pod: "redis-0", container: "redis" }],
  },
  {
    alert: "CrashLoop",
    what: "a pod restarts twice, and a tenant's pod restarts more often",
    series: {
      'process_start_time_seconds{job="platform",pod="worker-1"}': "0 0 0 1 1 1 2x20",
      'container_start_time_seconds{job="kubelets",node="n",namespace="tenant-acme",pod="agent-1",container="agent"}':
        "0+1x20",
    },
    at: "15m",
    fires: [],
  },
  {
    alert: "AutoscalerMetricMissing",
    what: "nobody tells",
    series: { 'up{job="platform",component="api",pod="api-1"}': "1x20" },
    at: "10m",
    fires: [{}],
  },
  { alert: "AutoscalerMetricMissing", what: "no job waits", series: { [waiting]: "0x20" }, at: "10m", fires: [] },
  {
    alert: "AutoscalerMetricMissing",
    what: "a new pod replaces the pod that reported the metric",
    series: {
      [waiting]: "1 1 1 stale",
      'bullmq_waiting_jobs{job="platform",queue="agent-sessions",pod="api-2"}': "_ _ _ _ _ 1x20",
    },
    at: "8m",
    fires: [],
  },
  {
    alert: "KubernetesApiUnreachable",
    what: "one of two addresses does not answer",
    series: {
      'up{job="kubernetes-api",instance="10.0.1.7:443"}': "1x30",
      'up{job="kubernetes-api",instance="10.0.2.9:443"}': "0x30",
    },
    at: "15m",
    fires: [{ job: "kubernetes-api", instance: "10.0.2.9:443" }],
  },
  {
    alert: "KubernetesApiUnreachable",
    what: "Prometheus finds no address",
    series: {},
    at: "15m",
    fires: [{ job: "kubernetes-api" }],
  },
  {
    alert: "KubernetesApiUnreachable",
    what: "the API server restarts for five minutes",
    series: { 'up{job="kubernetes-api",instance="10.0.1.7:443"}': "1x5 0x5 1x30" },
    at: "20m",
    fires: [],
  },
  {
    alert: "AdapterDown",
    what: "the adapter does not answer",
    series: { 'up{job="prometheus-adapter",pod="prometheus-adapter-1"}': "0x20" },
    at: "10m",
    fires: [{ job: "prometheus-adapter", pod: "prometheus-adapter-1" }],
  },
  { alert: "AdapterDown", what: "there is no adapter", series: {}, at: "10m", fires: [{ job: "prometheus-adapter" }] },
  {
    alert: "AdapterDown",
    what: "it answers",
    series: { 'up{job="prometheus-adapter",pod="prometheus-adapter-1"}': "1x20" },
    at: "10m",
    fires: [],
  },
  {
    alert: "CertificateExpires",
    what: "less than a quarter of the validity of a hundred hours is left",
    series: {},
    at: "76h",
    fires: [{}],
  },
  {
    alert: "CertificateExpires",
    what: "more than a quarter of the validity is left",
    series: {},
    at: "74h",
    fires: [],
  },
  {
    alert: "RulesFailing",
    what: "the rules of a group fail",
    series: { 'prometheus_rule_evaluation_failures_total{job="prometheus",rule_group="berth-stores"}': "0+1x20" },
    at: "15m",
    fires: [{ job: "prometheus", rule_group: "berth-stores" }],
  },
  {
    alert: "RulesFailing",
    what: "the rules of a group failed long ago",
    series: { 'prometheus_rule_evaluation_failures_total{job="prometheus",rule_group="berth-stores"}': "0 5x40" },
    at: "30m",
    fires: [],
  },
  { alert: "PostgresDown", what: "Postgres is down", series: { pg_up: "0x20" }, at: "5m", fires: [{}] },
  { alert: "PostgresDown", what: "there is no metric of Postgres", series: {}, at: "5m", fires: [{}] },
  { alert: "PostgresDown", what: "Postgres is up", series: { pg_up: "1x20" }, at: "5m", fires: [] },
  { alert: "RedisDown", what: "Redis is down", series: { redis_up: "0x20" }, at: "5m", fires: [{}] },
  { alert: "RedisDown", what: "Redis is up", series: { redis_up: "1x20" }, at: "5m", fires: [] },
  {
    alert: "RedisEvicting",
    what: "Redis evicted a key",
    series: { redis_evicted_keys_total: "0 0 0 1x20" },
    at: "5m",
    fires: [{}],
  },
  {
    alert: "RedisEvicting",
    what: "Redis evicted keys long ago",
    series: { redis_evicted_keys_total: "7x20" },
    at: "5m",
    fires: [],
  },
  {
    alert: "RedisMemoryHigh",
    what: "Redis uses 95 % of its memory limit",
    series: { redis_memory_used_bytes: "95x30", redis_memory_max_bytes: "100x30" },
    at: "15m",
    fires: [{}],
  },
  {
    alert: "RedisMemoryHigh",
    what: "Redis has no memory limit",
    series: { redis_memory_used_bytes: "95x30", redis_memory_max_bytes: "0x30" },
    at: "15m",
    fires: [],
  },
  {
    alert: "BackupTooOld",
    what: "the last dump failed",
    series: { 'berth_backup_last_success_timestamp_seconds{job="platform",pod="api-1"}': "0x200" },
    every: "10m",
    at: "27h",
    fires: [{}],
  },
  {
    alert: "BackupTooOld",
    what: "the last dump succeeded",
    series: { 'berth_backup_last_success_timestamp_seconds{job="platform",pod="api-1"}': "0x100 60000x100" },
    every: "10m",
    at: "27h",
    fires: [],
  },
  {
    alert: "BackupMissing",
    what: "there was never a dump",
    series: {},
    every: "10m",
    at: "27h",
    fires: [{ job: "platform" }],
  },
  { alert: "BackupMissing", what: "the stack is new", series: {}, every: "10m", at: "20h", fires: [] },
  {
    alert: "RestoreCheckTooOld",
    what: "two failed",
    series: { 'berth_restore_check_last_success_timestamp_seconds{job="platform",pod="api-1"}': "0x400" },
    every: "10m",
    at: "51h",
    fires: [{}],
  },
  {
    alert: "RestoreCheckTooOld",
    what: "one failed",
    series: { 'berth_restore_check_last_success_timestamp_seconds{job="platform",pod="api-1"}': "0x400" },
    every: "10m",
    at: "40h",
    fires: [],
  },
];
