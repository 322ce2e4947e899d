/** The tenants file, from which the runtime reads its tenants and the admin's keys: `tenants.json` in the Secret `tenants`. */
import { secondsOf } from "../config/duration.ts";
import type { KeyConfig, TenantKeyConfig } from "../config/keys.ts";
import type { Placement } from "../config/placement.ts";
import type { TenantConfig } from "../config/tenant.ts";

/** An API key in the tenants file, as its SHA-256 in hex. If `expiresAt` is null, the key never expires. */
export type KeyEntry<Key extends KeyConfig = KeyConfig> = Omit<Key, "secret"> & { sha256: string };

/**
 * A tenant in the tenants file, as the runtime reads it (`TenantSchema` in runtime/src/domain/tenants.ts). Durations are in
 * seconds.
 */
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
  /** How long a workspace is kept after the end of its session. 0: the workspace is deleted immediately. */
  retentionSeconds: number;
  webhooks: TenantConfig["webhooks"];
  /** The tenant's images, without their pull secrets. The ServiceAccount of the pods refers to the pull secrets. */
  images: Omit<TenantConfig["images"][number], "pullSecret">[];
  /** The nodes on which the tenant's sessions may run. */
  placement: Placement;
  /** Whether the tenant's namespace has an image puller, which the worker asks for missing images. */
  hasImagePuller: boolean;
}

/**
 * Makes a tenant's entry in the tenants file.
 * @param made the names of the tenant's namespace and ServiceAccount, the hashes of its keys, the placement of its sessions, and
 * whether its namespace has an image puller
 */
export function tenantEntry(
  tenant: TenantConfig,
  made: { hashes: string[] } & Pick<TenantEntry, "namespace" | "serviceAccount" | "placement" | "hasImagePuller">,
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
    placement: made.placement,
    hasImagePuller: made.hasImagePuller,
  };
}

const seconds = (duration: string | null) => (duration === null ? null : (secondsOf(duration) ?? null));

/** Combines keys with their hashes. Both lists have the same order. */
export const keyEntries = <Key extends KeyConfig>(keys: Key[], hashes: string[]): KeyEntry<Key>[] =>
  keys.flatMap(({ secret: _, ...key }, index) => {
    const sha256 = hashes[index];
    return sha256 === undefined ? [] : [{ ...key, sha256 }];
  });

/** The content of the tenants file without its generation number. */
export interface TenantsContent {
  admin: { keys: KeyEntry[] };
  tenants: TenantEntry[];
  /**
   * The names of tenants that are being removed. The runtime ends the sessions of these tenants. If a tenant is only missing from
   * the file, the runtime does not end its sessions.
   */
  closed: string[];
}

/**
 * The text of the tenants file: JSON with one line for each tenant and no indentation, so that more tenants fit into a Secret,
 * which holds 1 MiB at most.
 * @param generation a number that grows with each change of the content
 */
export function tenantsFile(generation: number, { admin, tenants, closed }: TenantsContent): string {
  const lines = tenants.map((tenant) => `\n${JSON.stringify(tenant)}`).join(",");
  const [before, after] = [{ generation, admin }, { closed }].map((part) => JSON.stringify(part).slice(1, -1));
  return `{${before},"tenants":[${lines}],\n${after}}\n`;
}
