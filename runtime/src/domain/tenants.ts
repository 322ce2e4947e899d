/** The tenants, and who may act for them: a file that the stack writes and that is read again when it changes. */
import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";

/** A DNS label (RFC 1123), as names of tenants and of Kubernetes' namespaces are. */
export const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const label = z.string().regex(dnsLabel, "must be a lower-case DNS label");
const count = z.int().min(0);
const pools = z
  .object({ small: count.default(0), medium: count.default(0), large: count.default(0) })
  .default({ small: 0, medium: 0, large: 0 });

/** What a tenant's key may be good for. */
export const scopes = [
  /** To look at sessions, their events and logs, and at usage. */
  "read",
  /** To make, suspend, resume, extend, end sessions and to run commands in them. */
  "write",
  /** To use desktops and to hand out links to them. */
  "desktop",
] as const;
export type Scope = (typeof scopes)[number];

/** A key by its hash: a name for the audit trail and the SHA-256 of the key in hex; null never expires. */
const key = z.object({
  name: z.string().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hex digits"),
  expiresAt: z.iso.datetime({ offset: true }).nullable().default(null),
});

export const TenantSchema = z.object({
  name: label.refine((name) => name !== "admin", "must not be admin, the name in the admin's keys"),
  /** Namespace of the tenant's sessions. */
  namespace: label,
  /** ServiceAccount of the session's pod. */
  serviceAccount: label,
  /** RuntimeClass of the session's pod; null is the cluster's default runtime. */
  runtimeClassName: z.string().min(1).nullable().default(null),
  /** PriorityClass of the session's pod; null is the cluster's default. */
  priorityClassName: z.string().min(1).nullable().default(null),
  keys: z.array(key.extend({ scopes: z.array(z.enum(scopes)).default([...scopes]) })),
  /**
   * The workspace: a volume that outlives the pod (`persistent`), or room on the node that goes with it (`ephemeral`). Its
   * size, and the volume's StorageClass; null is the cluster's default class.
   */
  workspace: z.object({
    mode: z.enum(["persistent", "ephemeral"]).default("persistent"),
    size: z.string().min(1),
    storageClass: z.string().min(1).nullable().default(null),
  }),
  /** How many sessions may be up at the same time; more of them wait. */
  maxSessions: count.default(50),
  /** The namespace's ResourceQuota, as Kubernetes writes amounts. */
  quota: z
    .object({
      requestsCpu: z.string(),
      limitsCpu: z.string(),
      requestsMemory: z.string(),
      limitsMemory: z.string(),
      pods: z.union([z.string(), z.number()]).transform(String),
      storage: z.string(),
    })
    .default({
      requestsCpu: "20",
      limitsCpu: "40",
      requestsMemory: "40Gi",
      limitsMemory: "80Gi",
      pods: "50",
      storage: "500Gi",
    }),
  /** Seconds without activity after which a session ends, unless it says otherwise; null never. */
  idleTimeoutSeconds: z.int().min(1).nullable().default(null),
  /** Whether a session is active as long as its task's command runs, whatever else happens in it. */
  commandIsActivity: z.boolean().default(true),
  /** Seconds that a session lives at most; it may ask for less, not for more. Null: no limit. */
  maxLifetimeSeconds: z.int().min(1).nullable().default(null),
  /** Seconds that a workspace is kept after the end of its session; 0: removed at once. */
  retentionSeconds: count.default(0),
  /** 0 to 100: who comes first among those whom fairness puts side by side. */
  priority: z.int().min(0).max(100).default(50),
  /** Whether commands may be run in the tenant's sessions by the WebSocket `exec`. */
  exec: z.boolean().default(false),
  /** What a node's drain does to the tenant's sessions. */
  onDrain: z.enum(["end", "resume"]).default("end"),
  /** Sessions made ahead with the platform's image, by tier. */
  warmPools: pools,
  /** Images that sessions may ask for beside the platform's; see sessionImages.ts. */
  images: z
    .array(
      z.object({
        name: label,
        /** By digest. */
        image: z.string().min(1),
        desktop: z.boolean().default(false),
        command: z.array(z.string()).min(1).nullable().default(null),
        writableRoot: z.boolean().default(false),
        warmPools: pools,
      }),
    )
    .default([]),
  /** Where the tenant's events are sent, and the secret that signs them. */
  webhooks: z.array(z.object({ url: z.url({ protocol: /^https?$/ }), secret: z.string().min(16) })).default([]),
});

export type Tenant = z.infer<typeof TenantSchema>;

const FileSchema = z.object({
  /** Grows with each change of the file; a file that is written by hand may leave it out. */
  generation: count.default(0),
  /** Who may look at all tenants. */
  admin: z.object({ keys: z.array(key) }).default({ keys: [] }),
  tenants: z.array(TenantSchema),
  /** Names of the tenants that are being removed: their sessions end. Sessions of tenants that are not named run on. */
  closed: z.array(label).default([]),
});

/** The file's content, tenants by name. */
export interface Tenants {
  generation: number;
  admin: { keys: z.infer<typeof key>[] };
  tenants: Map<string, Tenant>;
  closed: Set<string>;
}

/** Reads the file's text. Throws an error that names the field and the rule. */
export function parseTenants(text: string): Tenants {
  const parsed = FileSchema.safeParse(JSON.parse(text));
  if (!parsed.success) {
    throw new Error(parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "));
  }
  const { generation, admin, tenants, closed } = parsed.data;
  return {
    generation,
    admin,
    tenants: new Map(tenants.map((tenant) => [tenant.name, tenant])),
    closed: new Set(closed),
  };
}

/** A caller that showed a key. `key` is its name, for the audit trail; never the key. */
export type KeyHolder =
  | { role: "tenant"; tenant: Tenant; key: string; scopes: readonly Scope[]; expired: boolean }
  | { role: "admin"; key: string; expired: boolean };

/**
 * Finds whose key it is. A key says its tenant: `berth_<tenant>_<random>`, the admin's `berth_admin_<random>`. Undefined if
 * it is nobody's. Whether it has expired is told apart, so that its holder can be told too.
 */
export function findKeyHolder({ admin, tenants }: Tenants, text: string, now = Date.now()): KeyHolder | undefined {
  const owner = /^berth_([a-z0-9-]+)_[A-Za-z0-9_-]+$/.exec(text)?.[1];
  if (owner === undefined) return undefined;
  const hash = createHash("sha256").update(text).digest();
  const find = <K extends z.infer<typeof key>>(keys: K[]) =>
    keys.find(({ sha256 }) => timingSafeEqual(Buffer.from(sha256, "hex"), hash));
  const expired = ({ expiresAt }: { expiresAt: string | null }) => expiresAt !== null && Date.parse(expiresAt) <= now;

  if (owner === "admin") {
    const found = find(admin.keys);
    return found && { role: "admin", key: found.name, expired: expired(found) };
  }
  const tenant = tenants.get(owner);
  const found = tenant && find(tenant.keys);
  return found && { role: "tenant", tenant, key: found.name, scopes: found.scopes, expired: expired(found) };
}
