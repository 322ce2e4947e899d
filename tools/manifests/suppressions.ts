import type { Finding } from "./manifests.ts";

export interface Suppression extends Pick<Finding, "tool" | "rule"> {
  /** The objects to which the suppression applies. Default: all objects. */
  object?: RegExp;
  /** The stack in which the suppression applies. Default: all stacks. */
  stack?: string;
  /** Why the finding is not a fault. */
  reason: string;
}

/** Findings that are allowed in the stacks' manifests. A test finds suppressions that are no longer necessary. */
export const suppressions: Suppression[] = [
  {
    tool: "kube-score",
    rule: "container-image-pull-policy",
    reason: "Images are referenced by digest, so an image that a node already has is the same image.",
  },
  {
    tool: "kube-score",
    rule: "container-security-context-user-group-id",
    object: / berth\/(postgres|redis)/,
    reason: "This is the user of the official image, to which the image's files and volumes belong.",
  },
  {
    tool: "monokle",
    rule: "KBP104",
    object: / berth\/(postgres|redis)/,
    reason: "This is the user of the official image, to which the image's files and volumes belong.",
  },
  {
    tool: "monokle",
    rule: "KBP105",
    object: / berth\/(postgres|redis)/,
    reason: "This is the group of the official image, to which the image's files and volumes belong.",
  },
  {
    tool: "kube-score",
    rule: "networkpolicy-targets-pod",
    object: /^NetworkPolicy tenant-/,
    reason: "The worker creates the tenants' pods.",
  },
  {
    tool: "kube-score",
    rule: "container-ephemeral-storage-request-and-limit",
    object: /^Pod tenant-/,
    reason: "The LimitRange of the tenant's namespace sets these values.",
  },
  {
    tool: "kube-score",
    rule: "horizontalpodautoscaler-replicas",
    stack: "dev",
    reason: "The stack runs on one machine, so a second replica would fail together with the first.",
  },
  {
    tool: "kube-score",
    rule: "deployment-replicas",
    object: /^Deployment berth\/prometheus-adapter$/,
    stack: "dev",
    reason: "The stack runs on one machine, so a second replica would fail together with the first.",
  },
  {
    tool: "kube-score",
    rule: "deployment-replicas",
    object: /^Deployment berth\/(api|gateway)$/,
    stack: "prod with KEDA",
    reason:
      "KEDA's HorizontalPodAutoscaler sets the number of pods to at least two. The tool does not know ScaledObjects.",
  },
  {
    tool: "kube-score",
    rule: "service-type",
    object: /^Service berth\/(api|gateway)$/,
    stack: "dev",
    reason: "The local cluster has no ingress controller, and its node ports are open only on loopback.",
  },
  {
    tool: "monokle",
    rule: "KBP114",
    object: /^Service berth\/(api|gateway)$/,
    stack: "dev",
    reason: "The local cluster has no ingress controller, and its node ports are open only on loopback.",
  },
  {
    tool: "monokle",
    rule: "PSS203",
    reason:
      "The tool checks runAsNonRoot only in containers, but the pod sets it. The Pod Security library checks this correctly.",
  },
  {
    tool: "monokle",
    rule: "KBP106",
    object: / berth\/(api|gateway|worker|prometheus|prometheus-adapter)$/,
    reason: "These pods use the Kubernetes API with a ServiceAccount whose Roles list each allowed call.",
  },
  {
    tool: "monokle",
    rule: "KBP108",
    object: /^ClusterRole berth-prometheus$/,
    reason:
      "A rule that names a URL (nonResourceURLs) names no resource. The tool treats such a rule as a rule for all resources.",
  },
  {
    tool: "monokle",
    rule: "KBP107",
    object: /^Role tenant-/,
    reason: "The worker must create the tenants' pods. It has this permission only in tenants' namespaces.",
  },
];

/** Whether the suppression applies to the finding in the stack. */
export const covers = (suppression: Suppression, stack: string, finding: Finding): boolean =>
  suppression.tool === finding.tool &&
  suppression.rule === finding.rule &&
  (suppression.stack ?? stack) === stack &&
  (suppression.object?.test(finding.object) ?? true);
