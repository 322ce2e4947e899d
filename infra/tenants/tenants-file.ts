/** The file by which the runtime knows its tenants and its admin: `tenants.json` in the Secret `tenants`. */
import { secondsOf } from "../config/duration.ts";
import type { KeyConfig, TenantKeyConfig } from "../config/keys.ts";
import type { TenantConfig } from "../config/tenant.ts";

/** A key as the runtime knows it: by its SHA-256 in hex. `expiresAt` is null for never. */
export type KeyEntry<Key extends KeyConfig = KeyConfig> = Omit<Key, "secret"> & { sha256: string };

/** A tenant as the runtime reads it (`TenantSchema` in runtime/src/domain/tenants.ts). Times are in seconds. */
export interface TenantEntry
  extends Pick<
    TenantConfig,
    | "name"
    | "runtimeClassName"
    | "priorityClassName"
    | "workspace"
    | "commandIsActivity"
    | "priority"
    | "exec"
    | "onDrain"
    | "warmPools"
  > {
  namespace: string;
  serviceAccount: string;
  keys: KeyEntry<TenantKeyConfig>[];
  maxSessions: number;
  quota: Omit<TenantConfig["quota"], "volumes">;
  idleTimeoutSeconds: number | null;
  maxLifetimeSeconds: number | null;
  /** How long a workspace is kept after the end of its session; 0: removed at once. */
  retentionSeconds: number;
  webhooks: TenantConfig["webhooks"];
  /** Without their pull secrets, which the pods' ServiceAccount names. */
  images: Omit<TenantConfig["images"][number], "pullSecret">[];
}

/** What the runtime is told of a tenant. @param made what the cluster has for it, and the hashes of its keys */
export function tenantEntry(
  tenant: TenantConfig,
  made: { namespace: string; serviceAccount: string; hashes: string[] },
): TenantEntry {
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
    commandIsActivity: tenant.commandIsActivity,
    maxLifetimeSeconds: seconds(tenant.maxLifetime),
    retentionSeconds: seconds(tenant.retention) ?? 0,
    priority: tenant.priority,
    exec: tenant.exec,
    onDrain: tenant.onDrain,
    warmPools: tenant.warmPools,
    webhooks: tenant.webhooks,
    images: tenant.images.map(({ pullSecret: _, ...image }) => image),
  };
}

const seconds = (duration: string | null) => (duration === null ? null : (secondsOf(duration) ?? null));

/** Keys with their hashes, which are in the same order. */
export const keyEntries = <Key extends KeyConfig>(keys: Key[], hashes: string[]): KeyEntry<Key>[] =>
  keys.flatMap(({ secret: _, ...key }, index) => {
    const sha256 = hashes[index];
    return sha256 === undefined ? [] : [{ ...key, sha256 }];
  });

/** What the file says, without the number that tells which file is newer. */
export interface TenantsContent {
  admin: { keys: KeyEntry[] };
  tenants: TenantEntry[];
  /** Names of the tenants that are being removed: only their sessions end, as the runtime keeps those of a tenant that is absent. */
  closed: string[];
}

/** The file's text. @param generation grows with each change of the content */
export const tenantsFile = (generation: number, content: TenantsContent): string =>
  `${JSON.stringify({ generation, ...content }, null, 2)}\n`;
