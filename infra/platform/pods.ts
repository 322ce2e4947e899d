import type { Config } from "../config/config.ts";
import { placements } from "../config/placement.ts";
import { pullSecretNames } from "../images/registry-login.ts";
import type { PodDefaults } from "../kubernetes/pod.ts";

/**
 * Settings that all pods of the platform share, made from the config.
 * @param nodes whose placement applies to the pods
 */
export const podDefaults = (
  config: Pick<
    Config,
    "requestScale" | "registryLogins" | "imagePullSecrets" | "placement" | "platform" | "priorityClasses"
  >,
  nodes: "platform" | "stores" = "platform",
): PodDefaults => ({
  priorityClassName: config.priorityClasses.platform.name,
  imagePullSecrets: pullSecretNames(config),
  requestScale: config.requestScale,
  placement: placements(config)[nodes],
});
