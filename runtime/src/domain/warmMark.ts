/** What a session that is made ahead is made from. */
import { createHash } from "node:crypto";
import type { Tenant } from "./tenants.ts";

/** What a session's pod runs, by digest. */
export interface PodImages {
  /** The agent and its desktop. */
  agent: string;
  /** berthd alone, for the sidecar. */
  berthd: string;
}

/**
 * Another mark, another pod: a session that was made ahead is given out only while it is what would be made now. The
 * tenant's agent-config is not in it, as the runtime doesn't read it.
 */
export function warmMark(images: PodImages, tenant: Tenant): string {
  const { namespace, serviceAccount, runtimeClassName, priorityClassName, workspace } = tenant;
  const parts = [
    images.agent,
    images.berthd,
    namespace,
    serviceAccount,
    runtimeClassName,
    priorityClassName,
    workspace,
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}
