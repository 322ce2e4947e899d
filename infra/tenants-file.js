/** The file by which the runtime knows its tenants and its admin: `tenants.json` in the Secret `tenants`. */
import { secondsOf } from "./config/duration.ts";
/** What the runtime is told of a tenant. @param made what the cluster has for it, and the hashes of its keys */
export function tenantEntry(tenant, made) {
    const { volumes: _, ...quota } = tenant.quota;
    return {
        name: tenant.name,
        namespace: made.namespace,
        serviceAccount: made.serviceAccount,
        keys: keyEntries(tenant.keys, made.hashes),
        runtimeClassName: tenant.runtimeClassName,
        priorityClassName: tenant.priorityClassName,
        workspace: tenant.workspace,
        maxSessions: tenant.maxSessions ?? quota.pods,
        quota,
        idleTimeoutSeconds: seconds(tenant.idleTimeout),
        maxLifetimeSeconds: seconds(tenant.maxLifetime),
        retentionSeconds: seconds(tenant.retention) ?? 0,
        priority: tenant.priority,
        exec: tenant.exec,
        onDrain: tenant.onDrain,
        warmPools: tenant.warmPools,
        webhooks: tenant.webhooks,
    };
}
const seconds = (duration) => (duration === null ? null : (secondsOf(duration) ?? null));
/** Keys with their hashes, which are in the same order. */
export const keyEntries = (keys, hashes) => keys.flatMap(({ secret: _, ...key }, index) => {
    const sha256 = hashes[index];
    return sha256 === undefined ? [] : [{ ...key, sha256 }];
});
export const tenantsFile = (adminKeys, tenants) => `${JSON.stringify({ admin: { keys: adminKeys }, tenants }, null, 2)}\n`;
