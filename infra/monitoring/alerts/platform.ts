/** Alerts about the platform's pods, its autoscalers and Prometheus. */
import type { Validity } from "../../kubernetes/certificate.ts";
import type { Alert } from "./alert.ts";

/**
 * @param namespace the platform's namespace
 * @param roles the runtime's components that run as Deployments
 * @param autoscaled whether an autoscaler sets the number of pods
 * @param adapter the validity of the certificate of the stack's adapter; null if the stack has no adapter
 */
export const platformAlerts = (
  namespace: string,
  roles: string[],
  autoscaled: boolean,
  adapter: Validity | null,
): Alert[] => [
  {
    name: "TargetDown",
    severity: "page",
    expr: [
      'up{job=~"platform|kubelets"} == 0',
      ...roles.map((component) => `absent(up{job="platform",component="${component}"})`),
    ].join(" or "),
    for: "5m",
    summary:
      "{{ with $labels.pod }}{{ . }}{{ else }}{{ $labels.component }}{{ $labels.node }}{{ end }} does not answer Prometheus.",
    description: "The pod is gone, or does not answer at /metrics within 5 s, or a network policy blocks Prometheus.",
  },
  {
    name: "CrashLoop",
    severity: "page",
    // Each process reports its start time. If Prometheus measures the kubelets, they report the start times of all containers.
    expr: [
      'changes(process_start_time_seconds{job="platform"}[15m]) > 2',
      `sum by (namespace, pod, container) (changes(container_start_time_seconds{job="kubelets",namespace="${namespace}"}[15m])) > 2`,
    ].join(" or "),
    summary: "{{ $labels.pod }} was restarted {{ $value }} times in 15 minutes.",
    description:
      "`kubectl logs --previous` and `kubectl describe pod` show why the pod was restarted: an error, its liveness probe, or its memory limit.",
  },
  {
    name: "KubernetesApiUnreachable",
    severity: "page",
    expr: 'up{job="kubernetes-api"} == 0 or absent(up{job="kubernetes-api"})',
    for: "10m",
    summary: "The Kubernetes API does not answer Prometheus{{ with $labels.instance }} at {{ . }}{{ end }}.",
    description:
      "Either the API server is down, or it has an address that the network policies do not contain. In the second case the worker can't start or end sessions. Add the address, or the range of the addresses, to `kubernetesApi`, and run `pulumi up`.",
  },
  ...(autoscaled ? [autoscalerMetricMissing] : []),
  ...(adapter ? [adapterDown, certificateExpires(adapter)] : []),
  {
    name: "RulesFailing",
    severity: "ticket",
    expr: "increase(prometheus_rule_evaluation_failures_total[15m]) > 0",
    for: "5m",
    summary: "Prometheus can't evaluate rules of the group {{ $labels.rule_group }}.",
    description: "Alerts of this group may not fire. Prometheus' log shows the query and the reason.",
  },
];

const autoscalerMetricMissing: Alert = {
  name: "AutoscalerMetricMissing",
  severity: "page",
  expr: 'absent(last_over_time(bullmq_waiting_jobs{job="platform"}[2m]))',
  for: "3m",
  summary: "The worker's autoscaler does not know how many jobs wait.",
  description:
    "No API or worker pod reports the metric bullmq_waiting_jobs. Redis does not answer the pods, or no pod runs. The number of workers does not change until a pod reports the metric again.",
};

const adapterDown: Alert = {
  name: "AdapterDown",
  severity: "page",
  expr: 'up{job="prometheus-adapter"} == 0 or absent(up{job="prometheus-adapter"})',
  for: "5m",
  summary: "The adapter does not answer.",
  description:
    "The autoscalers do not change the number of pods. Kubernetes can't delete namespaces while one of its APIs does not answer, so the namespace of a removed tenant stays `Terminating`.",
};

/**
 * The alert for the adapter's certificate. The `up` that makes the certificate also makes this rule, so the rule contains the
 * end of the validity.
 */
function certificateExpires({ notBefore, notAfter }: Validity): Alert {
  const [start, end] = [notBefore.getTime() / 1_000, notAfter.getTime() / 1_000];
  return {
    name: "CertificateExpires",
    severity: "ticket",
    expr: `vector(${end} - time()) < ${(end - start) / 4}`,
    summary: "The adapter's certificate expires in {{ $value | humanizeDuration }}.",
    description:
      "Less than a quarter of the certificate's validity is left. Run `pulumi up`, which makes a new certificate when less than a third is left.",
  };
}
