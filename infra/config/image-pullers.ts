/** Which tenants' namespaces have an image puller, in addition to the platform's image puller. */
import { isPlaced } from "./placement.ts";
import type { TenantConfig } from "./tenant.ts";

/**
 * Whether the tenant's image puller also pulls the platform's desktop: true if the tenant has its own RuntimeClass or
 * placement. In that case, the platform's image puller may not have pulled the desktop for this tenant: another container
 * runtime may store images separately, and the tenant's sessions may run on other nodes.
 */
export const pullsDesktop = ({ runtimeClassName, placement }: TenantConfig): boolean =>
  runtimeClassName !== null || isPlaced(placement);

/**
 * Whether an `up` makes an image puller in the tenant's namespace. The worker reads the result from the tenants file, and
 * `npm run doctor` looks for these pullers.
 */
export const hasImagePuller = (config: { prepullAgentImage: boolean }, tenant: TenantConfig): boolean =>
  config.prepullAgentImage && !tenant.remove && (tenant.images.length > 0 || pullsDesktop(tenant));
