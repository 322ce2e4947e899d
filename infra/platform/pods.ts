import type { Config } from "../config/config.ts";
import { pullSecretNames } from "../images/registry-login.ts";
import type { PodDefaults } from "../kubernetes/pod.ts";
import { platformPriority } from "./priority-classes.ts";

/** What all pods of the platform have in common, as the config says. */
export const podDefaults = (
  config: Pick<Config, "requestScale" | "registryLogins" | "imagePullSecrets">,
): PodDefaults => ({
  priorityClassName: platformPriority,
  imagePullSecrets: pullSecretNames(config),
  requestScale: config.requestScale,
});
