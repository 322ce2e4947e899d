import { Tenant } from "./tenant/tenant.ts";
/**
 * The tenants of the config. One that says `remove: true` is closed: it is still there, but nobody is told of it any more,
 * so that the runtime ends its sessions and takes no key of it.
 */
export function makeTenants(tenants, args, opts) {
    const all = tenants.map((tenant) => new Tenant(`tenant-${tenant.name}`, { ...args, tenant }, opts));
    const open = all.filter(({ tenant }) => !tenant.remove);
    return {
        all,
        entries: open.map(({ entry }) => entry),
        keys: Object.fromEntries(open.map(({ tenant, keys }) => [tenant.name, keys])),
        namespaces: Object.fromEntries(open.map(({ tenant, namespace }) => [tenant.name, namespace])),
    };
}
