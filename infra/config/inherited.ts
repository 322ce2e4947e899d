/** Keys whose default is another key of the config. */
import type { PriorityClassesConfig } from "./priority-classes.ts";
import type { VolumeConfig } from "./scalars.ts";

interface Inheriting {
  storageClass: string | null;
  priorityClasses: PriorityClassesConfig;
  postgres: { volume: VolumeConfig; backup: { volume: VolumeConfig } };
  redis: { volume: VolumeConfig };
  prometheus: { volume: VolumeConfig };
  tenants: { workspace: VolumeConfig; priorityClassName: string | null }[];
}

/**
 * The config, in which each volume without a StorageClass has the stack's StorageClass, and each tenant without a PriorityClass
 * has the PriorityClass of sessions.
 */
export function withInherited<Config extends Inheriting>(config: Config): Config {
  const { postgres, redis, prometheus, tenants, priorityClasses } = config;
  const stored = <Volume extends VolumeConfig>(volume: Volume): Volume => ({
    ...volume,
    storageClass: volume.storageClass ?? config.storageClass,
  });
  return {
    ...config,
    postgres: {
      ...postgres,
      volume: stored(postgres.volume),
      backup: { ...postgres.backup, volume: stored(postgres.backup.volume) },
    },
    redis: { ...redis, volume: stored(redis.volume) },
    prometheus: { ...prometheus, volume: stored(prometheus.volume) },
    tenants: tenants.map((tenant) => ({
      ...tenant,
      workspace: stored(tenant.workspace),
      priorityClassName: tenant.priorityClassName ?? priorityClasses.sessions.name,
    })),
  };
}
