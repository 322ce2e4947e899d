/** Whether the platform's own pods run and see each other. */
import type { Validity } from "../../kubernetes/certificate.ts";
import type { Alert } from "./alert.ts";

/**
 * @param roles those of the runtime that serve for long
 * @param autoscaled whether an autoscaler decides on the number of pods
 * @param adapter the validity of the certificate of the stack's adapter; null where there is no adapter
 */
export const platformAlerts = (roles: string[], autoscaled: boolean, adapter: Validity | null): Alert[] => [
  {
    name: "TargetDown",
    severity: "page",
    expr: [
      'up{job=~"platform|kubelets"} == 0',
      ...roles.map((component) => `absent(up{job="platform",component="${component}"})`),
    ].join(" or "),
    for: "5m",
    summary:
      "{{ with $labels.pod }}{{ . }}{{ else }}{{ $labels.component }}{{ $labels.node }}{{ end }} can't be measured.",
    description: "The pod is gone, doesn't answer at /metrics within 5 s, or a network policy is in the way.",
  },
  {
    name: "CrashLoop",
    severity: "page",
    // What the process says itself, and where kubelets are measured also what they say of containers.
    expr: [
      'changes(process_start_time_seconds{job="platform"}[15m]) > 2',
      'sum by (namespace, pod, container) (changes(container_start_time_seconds{job="kubelets",namespace="berth"}[15m])) > 2',
    ].join(" or "),
    summary: "{{ $labels.pod }} was restarted {{ $value }} times in 15 minutes.",
    description:
      "`kubectl logs --previous` and `kubectl describe pod` say what ended it: an error, its liveness probe, or its memory limit.",
  },
  ...(autoscaled ? [autoscalerMetricMissing] : []),
  ...(adapter ? [adapterDown, certificateExpires(adapter)] : []),
  {
    name: "RulesFailing",
    severity: "ticket",
    expr: "increase(prometheus_rule_evaluation_failures_total[15m]) > 0",
    for: "5m",
    summary: "Prometheus can't evaluate rules of {{ $labels.rule_group }}.",
    description: "Alerts of this group may be silent. Prometheus' log has the query and the reason.",
  },
];

const autoscalerMetricMissing: Alert = {
  name: "AutoscalerMetricMissing",
  severity: "page",
  expr: 'absent(last_over_time(bullmq_waiting_jobs{job="platform"}[2m]))',
  for: "3m",
  summary: "The worker's autoscaler doesn't know how many jobs wait.",
  description:
    "No API or worker pod reports bullmq_waiting_jobs: Redis doesn't answer them, or none runs. Until then the number of workers stays as it is.",
};

const adapterDown: Alert = {
  name: "AdapterDown",
  severity: "page",
  expr: 'up{job="prometheus-adapter"} == 0 or absent(up{job="prometheus-adapter"})',
  for: "5m",
  summary: "The adapter doesn't answer.",
  description:
    "Autoscalers keep the number of pods as it is, and while a part of the Kubernetes API doesn't answer, namespaces can't be deleted: a tenant that is removed stays `Terminating`.",
};

/** The rules are written by the `up` that makes the certificate, so they know its validity, and nobody has to measure it. */
function certificateExpires({ notBefore, notAfter }: Validity): Alert {
  const [start, end] = [notBefore.getTime() / 1_000, notAfter.getTime() / 1_000];
  return {
    name: "CertificateExpires",
    severity: "ticket",
    expr: `vector(${end} - time()) < ${(end - start) / 4}`,
    summary: "The adapter's certificate expires in {{ $value | humanizeDuration }}.",
    description:
      "Less than a quarter of its validity is left. `pulumi up` makes a new one when less than a third is: nobody has run it since.",
  };
}
