import type { Finding } from "./manifests.ts";

export interface Suppression extends Pick<Finding, "tool" | "rule"> {
  /** Which objects. Default all. */
  object?: RegExp;
  /** In which stack. Default in all. */
  stack?: string;
  /** Why the finding is none here. */
  reason: string;
}

/** What the tools may say of the stacks' manifests. A test finds those that are no longer needed. */
export const suppressions: Suppression[] = [
  {
    tool: "kube-score",
    rule: "container-image-pull-policy",
    reason: "Images are named by digest: whatever a node has under it is the same image.",
  },
  {
    tool: "kube-score",
    rule: "container-security-context-user-group-id",
    object: / berth\/(postgres|redis)/,
    reason: "The official images' own user; their files and volumes belong to it.",
  },
  {
    tool: "monokle",
    rule: "KBP104",
    object: / berth\/(postgres|redis)/,
    reason: "The official images' own user, as above.",
  },
  {
    tool: "monokle",
    rule: "KBP105",
    object: / berth\/(postgres|redis)/,
    reason: "The official images' own group, as above.",
  },
  {
    tool: "kube-score",
    rule: "networkpolicy-targets-pod",
    object: /^NetworkPolicy tenant-/,
    reason: "The worker makes the tenants' pods.",
  },
  {
    tool: "kube-score",
    rule: "container-ephemeral-storage-request-and-limit",
    object: /^Pod tenant-/,
    reason: "The LimitRange of the tenant's namespace sets them.",
  },
  {
    tool: "kube-score",
    rule: "horizontalpodautoscaler-replicas",
    stack: "dev",
    reason: "One machine: a second replica would share its fate.",
  },
  {
    tool: "kube-score",
    rule: "deployment-replicas",
    object: /^Deployment berth\/prometheus-adapter$/,
    stack: "dev",
    reason: "One machine, as above.",
  },
  {
    tool: "kube-score",
    rule: "deployment-replicas",
    object: /^Deployment berth\/(api|gateway)$/,
    stack: "prod with KEDA",
    reason: "KEDA's HorizontalPodAutoscaler decides, of two pods at least; the tool doesn't know ScaledObjects.",
  },
  {
    tool: "kube-score",
    rule: "service-type",
    object: /^Service berth\/(api|gateway)$/,
    stack: "dev",
    reason: "The machine's own cluster has no ingress controller; its node ports are open on loopback only.",
  },
  {
    tool: "monokle",
    rule: "KBP114",
    object: /^Service berth\/(api|gateway)$/,
    stack: "dev",
    reason: "The node port, as above.",
  },
  {
    tool: "monokle",
    rule: "PSS203",
    reason: "It looks for runAsNonRoot at containers only; it is set for the pod. Pod Security's own verdict counts.",
  },
  {
    tool: "monokle",
    rule: "KBP106",
    object: / berth\/(api|gateway|worker|prometheus|prometheus-adapter)$/,
    reason: "They work with the Kubernetes API, as a ServiceAccount whose Roles name each call.",
  },
  {
    tool: "monokle",
    rule: "KBP107",
    object: /^Role tenant-/,
    reason: "To make the tenant's pods is what the worker is for; it may in tenants' namespaces only.",
  },
];

/** Whether the suppression is about the finding in the stack. */
export const covers = (suppression: Suppression, stack: string, finding: Finding): boolean =>
  suppression.tool === finding.tool &&
  suppression.rule === finding.rule &&
  (suppression.stack ?? stack) === stack &&
  (suppression.object?.test(finding.object) ?? true);
