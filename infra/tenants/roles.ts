/** The runtime's permissions in a tenant's namespace: a Role and a RoleBinding for each of the runtime's ServiceAccounts. */

/** A rule of a Role in the core API group. */
export interface Rule {
  apiGroups: [""];
  resources: [string];
  verbs: string[];
}

const rule = (resource: string, ...verbs: string[]): Rule => ({ apiGroups: [""], resources: [resource], verbs });

/**
 * The worker's permissions. They match the calls of `CoreApi` in runtime/src/cluster/kubernetes.ts and the reading of logs; a
 * test checks this.
 */
const workerRules = [
  rule("secrets", "get", "list", "create", "delete"),
  rule("pods", "get", "list", "watch", "create", "delete"),
  rule("persistentvolumeclaims", "get", "list", "create", "delete"),
  rule("pods/log", "get"),
  rule("events", "list"),
];

/** The gateway's permission to read the logs of sessions. */
const gatewayRules = [rule("pods/log", "get")];

/**
 * The Roles with their rules. `account` is the ServiceAccount that gets the Role. The ServiceAccount is in the platform's
 * namespace.
 * @param gateway the component whose pods are the gateway
 */
export const rolesWith = (gateway: "api" | "gateway") => [
  { role: "berth-worker", account: "worker", rules: workerRules },
  { role: `berth-${gateway}`, account: gateway, rules: gatewayRules },
];
