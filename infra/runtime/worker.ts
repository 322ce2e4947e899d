import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Autoscaler, WorkerConfig } from "../config/platform.ts";
import { makeAutoscaler, sharedMetric } from "../kubernetes/autoscaler.ts";
import { disruptionBudget } from "../kubernetes/disruption-budget.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import { askPrometheus, waitingJobs } from "../monitoring/queries.ts";
import { probes, type RuntimeArgs, runtimeDeployment } from "./pod.ts";

/** The arguments include the part `worker` of the config with its defaults. */
export type WorkerArgs = RuntimeArgs & WorkerConfig & { autoscaler: Autoscaler };

/** The worker's ServiceAccount. Roles in the platform's and in each tenant's namespace give the account its permissions. */
export const workerServiceAccount = "worker";

/**
 * The workers elect a leader by a Lease. The leader does the work that only one worker may do. The leader also lists the image
 * puller's pods, and reports the images that are missing on nodes.
 */
const rules = [
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["list"] },
];

/** The worker, which makes and deletes the sessions' pods: Deployment and autoscaler `worker`. */
export class Worker extends pulumi.ComponentResource {
  /** Name of the Deployment. */
  readonly deployment: pulumi.Output<string>;

  constructor(name: string, args: WorkerArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Worker", name, {}, opts);
    const parent = { parent: this };
    const { platform, autoscaling, autoscaler } = args;
    const metadata = { name, namespace: platform.namespace, labels: labels("worker") };
    const account = new k8s.core.v1.ServiceAccount(
      name,
      { metadata: { ...metadata, name: workerServiceAccount }, automountServiceAccountToken: false },
      parent,
    );
    const role = new k8s.rbac.v1.Role(name, { metadata, rules }, parent);
    const binding = new k8s.rbac.v1.RoleBinding(
      name,
      {
        metadata,
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: role.metadata.name },
        subjects: [{ kind: "ServiceAccount", name: account.metadata.name, namespace: platform.namespace }],
      },
      parent,
    );
    const pod = {
      account: account.metadata.name,
      // The grace period covers 2 s of preStop pause, 25 s in which the jobs of this process end, and a margin.
      gracePeriodSeconds: 35,
      ports: { http: 3000 },
      probes: probes(),
      // In this pause, Prometheus may read the pod's metrics once more.
      lifecycle: { preStop: { sleep: { seconds: 2 } } },
    };
    const deployment = runtimeDeployment(name, "worker", args, pod, { parent: this, dependsOn: [binding] });
    const loads = [
      sharedMetric(
        "bullmq_waiting_jobs",
        { queue: "agent-sessions" },
        autoscaling.waitingJobs,
        askPrometheus(platform.namespace, waitingJobs),
      ),
    ];
    makeAutoscaler(name, { kind: autoscaler, deployment, metadata, config: autoscaling, loads }, parent);
    new k8s.policy.v1.PodDisruptionBudget(name, { metadata, spec: disruptionBudget(selector("worker")) }, parent);
    this.deployment = deployment.metadata.name;
    this.registerOutputs({ deployment: this.deployment });
  }
}
