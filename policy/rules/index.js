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
/** All rules; each is in the file of its name, and docs/policies.md tells why it is there. */
export const rules = [
    {
        name: "restricted-pods",
        description: "Pods keep to Pod Security restricted and have a read-only root.",
        check: restrictedPods,
    },
    {
        name: "restricted-namespaces",
        description: "Namespaces hold their pods to Pod Security restricted, in a pinned version.",
        check: restrictedNamespaces,
    },
    { name: "image-digests", description: "Images are named by digest.", check: imageDigests },
    { name: "probes", description: "What runs for good has a liveness and a readiness probe.", check: probes },
    { name: "resources", description: "Containers have requests and limits of CPU and memory.", check: resources },
    { name: "no-wildcard-rbac", description: "Rights are named one by one.", check: noWildcardRbac },
    { name: "no-public-service", description: "Services are reached inside the cluster only.", check: noPublicService },
    {
        name: "network-policies",
        description: "Every namespace denies the traffic that no policy opens.",
        check: networkPolicies,
        needsAll: true,
    },
    { name: "no-plain-secrets", description: "No secret is in an environment or a ConfigMap.", check: noPlainSecrets },
    { name: "protected-data", description: "What holds data is protected against deletion.", check: protectedData },
];
