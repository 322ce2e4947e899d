import type { Config } from "../config/config.ts";
import { placements } from "../config/placement.ts";
import { pullSecretNames } from "../images/registry-login.ts";
import type { PodDefaults } from "../kubernetes/pod.ts";
import type { ScannedImages } from "../kubernetes/scanned-images.ts";

/**
 * The settings that the platform's pods share, made from the config.
 * @param scannedImages the list that gets the images of the pods
 * @param nodes the group of nodes (`platform` or `stores`). Its placement applies to the pods.
 */
export const podDefaults = (
  config: Pick<
    Config,
    "requestScale" | "registryLogins" | "imagePullSecrets" | "placement" | "platform" | "priorityClasses"
  >,
  scannedImages: ScannedImages,
  nodes: "platform" | "stores" = "platform",
): PodDefaults => ({
  priorityClassName: config.priorityClasses.platform.name,
  imagePullSecrets: pullSecretNames(config),
  requestScale: config.requestScale,
  placement: placements(config)[nodes],
  scannedImages,
});
