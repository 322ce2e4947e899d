/** A hash of the settings by which the pods of one pool's warm sessions can become outdated. */
import { createHash } from "node:crypto";
import type { PodImages, SessionImage } from "./sessionImages.ts";
import type { Tenant } from "./tenants.ts";

/**
 * A user gets a warm session only while the session's hash equals the hash of a pod that would be created now. The hash
 * does not contain the tier, because each tier has its own pool. The hash does not contain the tenant's ConfigMap
 * agent-config, because the runtime does not read that ConfigMap. The hash does not contain the image's default command
 * either, because the pod asks for the command only when the session has an owner.
 */
export function podTemplateHash(
  { berthd, berthdVolume }: Pick<PodImages, "berthd" | "berthdVolume">,
  image: SessionImage,
  tenant: Tenant,
): string {
  const { namespace, serviceAccount, runtimeClassName, priorityClassName, workspace, placement } = tenant;
  const { name, reference, hasBerthd, desktop, writableRoot } = image;
  const madeOf = [name, reference, hasBerthd, desktop, writableRoot];
  const place = [namespace, serviceAccount, runtimeClassName, priorityClassName, workspace, placement];
  const fields = [...madeOf, berthd, berthdVolume, ...place];
  return createHash("sha256").update(JSON.stringify(fields)).digest("hex").slice(0, 16);
}
