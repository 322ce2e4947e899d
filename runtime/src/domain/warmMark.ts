/** What a session that is made ahead is made from. */
import { createHash } from "node:crypto";
import type { PodImages, SessionImage } from "./sessionImages.ts";
import type { Tenant } from "./tenants.ts";

/**
 * Another mark, another pod: a session that was made ahead is given out only while it is what would be made now. The
 * tenant's agent-config is not in it, as the runtime doesn't read it, and neither is what the image's sessions run, as the
 * pod asks for that when it has an owner.
 */
export function warmMark({ berthd }: Pick<PodImages, "berthd">, image: SessionImage, tenant: Tenant): string {
  const { namespace, serviceAccount, runtimeClassName, priorityClassName, workspace } = tenant;
  const { name, reference, hasBerthd, desktop, writableRoot } = image;
  const madeOf = [name, reference, hasBerthd, desktop, writableRoot];
  const parts = [...madeOf, berthd, namespace, serviceAccount, runtimeClassName, priorityClassName, workspace];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}
