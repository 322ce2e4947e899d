import type { Rule } from "../rule.ts";
import { imageDigests } from "./image-digests.ts";
import { networkPolicies } from "./network-policies.ts";
import { noPlainSecrets } from "./no-plain-secrets.ts";
import { noPublicService } from "./no-public-service.ts";
import { noWildcardRbac } from "./no-wildcard-rbac.ts";
import { probes } from "./probes.ts";
import { protectedData } from "./protected-data.ts";
import { resources } from "./resources.ts";
import { restrictedNamespaces } from "./restricted-namespaces.ts";
import { restrictedPods } from "./restricted-pods.ts";

/** All rules. Each rule's file has the rule's name, and docs/policies.md says why the rule exists. */
export const rules = [
  {
    name: "restricted-pods",
    description: "Pods keep the Pod Security level restricted and have a read-only root file system.",
    check: restrictedPods,
  },
  {
    name: "restricted-namespaces",
    description: "Namespaces enforce the Pod Security level restricted in a pinned version.",
    check: restrictedNamespaces,
  },
  { name: "image-digests", description: "Images are referenced by digest.", check: imageDigests },
  {
    name: "probes",
    description: "Containers of long-running pods have a liveness and a readiness probe.",
    check: probes,
  },
  { name: "resources", description: "Containers have requests and limits of CPU and memory.", check: resources },
  {
    name: "no-wildcard-rbac",
    description: "Roles list each permission by name, without wildcards.",
    check: noWildcardRbac,
  },
  { name: "no-public-service", description: "Services are reachable only inside the cluster.", check: noPublicService },
  {
    name: "network-policies",
    description: "Every namespace denies all traffic that no other policy allows.",
    check: networkPolicies,
    needsAll: true,
  },
  {
    name: "no-plain-secrets",
    description: "Environment variables and ConfigMaps contain no secrets.",
    check: noPlainSecrets,
  },
  {
    name: "protected-data",
    description: "Objects that hold data are protected against deletion.",
    check: protectedData,
  },
] as const satisfies Rule[];

export type RuleName = (typeof rules)[number]["name"];
