/** What the runtime may do in a tenant's namespace: a Role and its RoleBinding for each of its ServiceAccounts. */

/** A rule of a Role in the core group. */
export interface Rule {
  apiGroups: [""];
  resources: [string];
  verbs: string[];
}

const rule = (resource: string, ...verbs: string[]): Rule => ({ apiGroups: [""], resources: [resource], verbs });

/** The worker's calls are `CoreApi` in runtime/src/cluster/kubernetes.ts and the logs that it keeps; a test holds both equal. */
const workerRules = [
  rule("secrets", "get", "list", "create", "delete"),
  rule("pods", "get", "list", "watch", "create", "delete"),
  rule("persistentvolumeclaims", "get", "list", "create", "delete"),
  rule("pods/log", "get"),
  rule("events", "list"),
];

/** Logs of sessions, which whoever is the gateway reads. */
const gatewayRules = [rule("pods/log", "get")];

/**
 * The rules by Role; `account` is a ServiceAccount in the platform's namespace.
 * @param gateway the component whose pods are the gateway
 */
export const rolesWith = (gateway: "api" | "gateway") => [
  { role: "berth-worker", account: "worker", rules: workerRules },
  { role: `berth-${gateway}`, account: gateway, rules: gatewayRules },
];
