/** What makes each alert fire and what doesn't: series as promtool writes them. */

export interface Case {
  /** The alert's name, without `Berth`. */
  alert: string;
  what: string;
  series: Record<string, string>;
  /** Time between samples, and between looks. Default 1m. */
  every?: string;
  /** When to look, for example 20m. */
  at: string;
  /** The labels of each alert that fires then, besides its severity. None: silence. */
  fires: Record<string, string>[];
}

const api = (more: string) =>
  `http_requests_total{job="platform",component="api",pod="api-1",route="/v1/sessions"${more}}`;
/** 600 requests from sample to sample, of which `share` fail. */
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
    what: "as few fail as may",
    series: traffic(0.0005),
    every: "15m",
    at: "80h",
    fires: [],
  },
  {
    alert: "ApiErrorBudgetBurn",
    what: "of three requests of a quiet hour, all fail",
    series: { [api(',status="503"')]: "0 0 1 2 3x60" },
    at: "30m",
    fires: [],
  },
  {
    alert: "ApiErrorBudgetBurn",
    what: "only readiness fails",
    series: { 'http_requests_total{job="platform",component="api",route="/health/ready",status="503"}': "0+60x200" },
    at: "90m",
    fires: [],
  },
  {
    alert: "SessionStartSlow",
    what: "a fifth takes a minute",
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
    what: "one slow start is all there was",
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
    what: "every process reports the same two",
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
    what: "one that was late and went on",
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
    what: "a new tenant's file reaches the worker later than the API",
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
    alert: "Orphans",
    what: "a claim stays",
    series: { 'berth_orphans{job="platform",pod="worker-1",kind="claim"}': "1x30" },
    at: "20m",
    fires: [{ kind: "claim" }],
  },
  {
    alert: "Orphans",
    what: "the sweep takes it away",
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
    what: "jobs wait and nobody works",
    series: { [waiting]: "3x30", 'berth_reconciles_total{job="platform",pod="worker-1",outcome="done"}': "7x30" },
    at: "20m",
    fires: [{}],
  },
  {
    alert: "QueueNotDraining",
    what: "many jobs wait, and are done",
    series: {
      [waiting]: "30x30",
      'berth_oldest_waiting_job_age_seconds{job="platform",pod="api-1"}': "20x30",
      'berth_reconciles_total{job="platform",pod="worker-1",outcome="done"}': "0+60x30",
    },
    at: "20m",
    fires: [],
  },
  { alert: "LeaderMissing", what: "no worker at all", series: {}, at: "10m", fires: [{}] },
  { alert: "LeaderMissing", what: "nobody leads", series: { [leader]: "0x20" }, at: "10m", fires: [{}] },
  {
    alert: "LeaderMissing",
    what: "two lead",
    series: { [leader]: "1x20", 'berth_leader{job="platform",pod="worker-2"}': "1x20" },
    at: "10m",
    fires: [{}],
  },
  {
    alert: "LeaderMissing",
    what: "one leads, then the other",
    series: { [leader]: "1 1 1 1 0x10", 'berth_leader{job="platform",pod="worker-2"}': "0 0 0 0 0 1x10" },
    at: "10m",
    fires: [],
  },
  {
    alert: "WatchRestarts",
    what: "a watch breaks twice a minute",
    series: { 'berth_watch_restarts_total{job="platform",pod="worker-1"}': "0+2x40" },
    at: "30m",
    fires: [{ pod: "worker-1" }],
  },
  {
    alert: "WatchRestarts",
    what: "the Kubernetes API was restarted once, under ten watches",
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
    what: "no worker, and no gateway",
    series: { 'up{job="platform",component="api",pod="api-1"}': "1x60" },
    at: "10m",
    fires: [
      { job: "platform", component: "gateway" },
      { job: "platform", component: "worker" },
    ],
  },
  { alert: "TargetDown", what: "all answer", series: allUp, at: "10m", fires: [] },
  {
    alert: "CrashLoop",
    what: "a process that starts anew every three minutes",
    series: { 'process_start_time_seconds{job="platform",pod="worker-1"}': "0 0 0 1 1 1 2 2 2 3 3 3 4 4 4 5 5" },
    at: "15m",
    fires: [{ job: "platform", pod: "worker-1" }],
  },
  {
    alert: "CrashLoop",
    what: "a container that has no metrics",
    series: {
      'container_start_time_seconds{job="kubelets",node="n",namespace="berth",pod="redis-0",container="redis"}':
        "0 0 0 1 1 1 2 2 2 3 3 3 4 4 4 5 5",
    },
    at: "15m",
    fires: [{ namespace: "berth", pod: "redis-0", container: "redis" }],
  },
  {
    alert: "CrashLoop",
    what: "two restarts, and a tenant's own",
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
  { alert: "AutoscalerMetricMissing", what: "none waits", series: { [waiting]: "0x20" }, at: "10m", fires: [] },
  {
    alert: "AutoscalerMetricMissing",
    what: "a pod was replaced",
    series: {
      [waiting]: "1 1 1 stale",
      'bullmq_waiting_jobs{job="platform",queue="agent-sessions",pod="api-2"}': "_ _ _ _ _ 1x20",
    },
    at: "8m",
    fires: [],
  },
  {
    alert: "AdapterDown",
    what: "it doesn't answer",
    series: { 'up{job="prometheus-adapter",pod="prometheus-adapter-1"}': "0x20" },
    at: "10m",
    fires: [{ job: "prometheus-adapter", pod: "prometheus-adapter-1" }],
  },
  { alert: "AdapterDown", what: "it is gone", series: {}, at: "10m", fires: [{ job: "prometheus-adapter" }] },
  {
    alert: "AdapterDown",
    what: "it answers",
    series: { 'up{job="prometheus-adapter",pod="prometheus-adapter-1"}': "1x20" },
    at: "10m",
    fires: [],
  },
  {
    alert: "CertificateExpires",
    what: "less than a quarter of a hundred hours is left",
    series: {},
    at: "76h",
    fires: [{}],
  },
  { alert: "CertificateExpires", what: "more than a quarter is left", series: {}, at: "74h", fires: [] },
  {
    alert: "RulesFailing",
    what: "a group fails",
    series: { 'prometheus_rule_evaluation_failures_total{job="prometheus",rule_group="berth-stores"}': "0+1x20" },
    at: "15m",
    fires: [{ job: "prometheus", rule_group: "berth-stores" }],
  },
  {
    alert: "RulesFailing",
    what: "it failed long ago",
    series: { 'prometheus_rule_evaluation_failures_total{job="prometheus",rule_group="berth-stores"}': "0 5x40" },
    at: "30m",
    fires: [],
  },
  { alert: "PostgresDown", what: "it is down", series: { pg_up: "0x20" }, at: "5m", fires: [{}] },
  { alert: "PostgresDown", what: "nobody looks", series: {}, at: "5m", fires: [{}] },
  { alert: "PostgresDown", what: "it is up", series: { pg_up: "1x20" }, at: "5m", fires: [] },
  { alert: "RedisDown", what: "it is down", series: { redis_up: "0x20" }, at: "5m", fires: [{}] },
  { alert: "RedisDown", what: "it is up", series: { redis_up: "1x20" }, at: "5m", fires: [] },
  {
    alert: "RedisEvicting",
    what: "a key is gone",
    series: { redis_evicted_keys_total: "0 0 0 1x20" },
    at: "5m",
    fires: [{}],
  },
  { alert: "RedisEvicting", what: "none is", series: { redis_evicted_keys_total: "7x20" }, at: "5m", fires: [] },
  {
    alert: "RedisMemoryHigh",
    what: "19 of 20 bytes",
    series: { redis_memory_used_bytes: "95x30", redis_memory_max_bytes: "100x30" },
    at: "15m",
    fires: [{}],
  },
  {
    alert: "RedisMemoryHigh",
    what: "without a limit",
    series: { redis_memory_used_bytes: "95x30", redis_memory_max_bytes: "0x30" },
    at: "15m",
    fires: [],
  },
  {
    alert: "BackupTooOld",
    what: "last night's failed",
    series: { 'berth_backup_last_success_timestamp_seconds{job="platform",pod="api-1"}': "0x200" },
    every: "10m",
    at: "27h",
    fires: [{}],
  },
  {
    alert: "BackupTooOld",
    what: "last night's didn't",
    series: { 'berth_backup_last_success_timestamp_seconds{job="platform",pod="api-1"}': "0x100 60000x100" },
    every: "10m",
    at: "27h",
    fires: [],
  },
  {
    alert: "BackupMissing",
    what: "there never was one",
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
