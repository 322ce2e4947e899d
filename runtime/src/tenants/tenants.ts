/** The tenants, and who may act for them: a file that the stack writes and that is read again when it changes. */
import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";

const label = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "must be a lower-case DNS label");

const TenantSchema = z.object({
  name: label,
  /** Namespace of the tenant's sessions. */
  namespace: label,
  /** Keys by their hash: a name for the audit trail and the SHA-256 of the key in hex. */
  keys: z.array(
    z.object({ name: z.string().min(1), sha256: z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hex digits") }),
  ),
  /** ServiceAccount of the session's pod. */
  serviceAccount: label,
  /** Size of the workspace volume, and its StorageClass; null is the cluster's default class. */
  workspace: z.object({ size: z.string().min(1), storageClass: z.string().min(1).nullable() }),
  /** RuntimeClass of the session's pod; null is the cluster's default runtime. */
  runtimeClassName: z.string().min(1).nullable(),
});

export type Tenant = z.infer<typeof TenantSchema>;

const FileSchema = z.object({ tenants: z.array(TenantSchema) });

/** Reads the file's text. Throws an error that names the field and the rule. */
export function parseTenants(text: string): Map<string, Tenant> {
  const parsed = FileSchema.safeParse(JSON.parse(text));
  if (!parsed.success) {
    throw new Error(parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "));
  }
  return new Map(parsed.data.tenants.map((tenant) => [tenant.name, tenant]));
}

/** A caller that showed a valid key. */
export interface KeyHolder {
  tenant: Tenant;
  /** Name of the key, for the audit trail; never the key. */
  key: string;
}

/** Finds whose key it is. A key says its tenant: `berth_<tenant>_<random>`. Undefined if it is nobody's. */
export function findKeyHolder(tenants: Map<string, Tenant>, key: string): KeyHolder | undefined {
  const tenant = tenants.get(/^berth_([a-z0-9-]+)_[A-Za-z0-9_-]+$/.exec(key)?.[1] ?? "");
  if (tenant === undefined) return undefined;
  const hash = createHash("sha256").update(key).digest();
  const found = tenant.keys.find(({ sha256 }) => timingSafeEqual(Buffer.from(sha256, "hex"), hash));
  return found && { tenant, key: found.name };
}
