/**
 * The schema of the tenants file (tenants, and hashes of their keys), how its text is parsed, and how a key's owner is found.
 * Pure.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";

/** A DNS label (RFC 1123): the form of tenant names and of Kubernetes namespaces. */
export const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const label = z.string().regex(dnsLabel, "must be a lower-case DNS label");
const count = z.int().min(0);
const pools = z
  .object({ small: count.default(0), medium: count.default(0), large: count.default(0) })
  .default({ small: 0, medium: 0, large: 0 });

/** Fields that Kubernetes defines. */
const fields = z.record(z.string(), z.unknown());

/** What a tenant's key may allow. */
export const scopes = [
  /** To read sessions, their events and logs, usage, and webhook deliveries. */
  "read",
  /**
   * To create, suspend, resume, extend and end sessions, to run commands in them, to use their files and ports, to close
   * connections into them, and to send webhook deliveries again.
   */
  "write",
  /** To use desktops, and to make links to desktops for others. */
  "desktop",
] as const;
export type Scope = (typeof scopes)[number];

/**
 * A key: its name for the audit trail, and its SHA-256 in hex, because the key itself is not stored. `expiresAt` null:
 * the key never expires.
 */
const key = z.object({
  name: z.string().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hex digits"),
  expiresAt: z.iso.datetime({ offset: true }).nullable().default(null),
});

export const TenantSchema = z.object({
  name: label.refine((name) => name !== "admin", "must not be admin, which is reserved for the administrators' keys"),
  /** Namespace of the tenant's sessions. */
  namespace: label,
  /** ServiceAccount of the session's pod. */
  serviceAccount: label,
  /** RuntimeClass of the session's pod; null: the cluster's default runtime. */
  runtimeClassName: z.string().min(1).nullable().default(null),
  /** PriorityClass of the session's pod; null: the cluster's default class. */
  priorityClassName: z.string().min(1).nullable().default(null),
  keys: z.array(key.extend({ scopes: z.array(z.enum(scopes)).default([...scopes]) })),
  /**
   * The workspace: a volume that outlives the pod (`persistent`), or disk space on the node, which is freed when the pod is
   * deleted (`ephemeral`). `size` is the workspace's size; `storageClass` is the volume's StorageClass, and null is the cluster's
   * default class.
   */
  workspace: z.object({
    mode: z.enum(["persistent", "ephemeral"]).default("persistent"),
    size: z.string().min(1),
    storageClass: z.string().min(1).nullable().default(null),
  }),
  /**
   * How many of the tenant's sessions may have a pod at the same time. Other sessions wait in the queue. With 0, all of the
   * tenant's sessions end.
   */
  maxSessions: count.default(50),
  /** The namespace's ResourceQuota, in Kubernetes quantities. */
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
  /** A session ends after this many seconds without activity, unless the session sets its own limit; null: never. */
  idleTimeoutSeconds: z.int().min(1).nullable().default(null),
  /** Whether a session counts as active as long as the command of its task runs. */
  commandIsActivity: z.boolean().default(true),
  /** The longest time in seconds that a session may run. A session may set a lower limit. Null: no limit. */
  maxLifetimeSeconds: z.int().min(1).nullable().default(null),
  /** How many seconds a workspace is kept after its session has ended; 0: the workspace is deleted immediately. */
  retentionSeconds: count.default(0),
  /**
   * From 0 to 100. The default priority of the tenant's sessions. Among the tenant's sessions, and among the sessions of
   * one turn (see admissionPlan.ts), a higher number starts first.
   */
  priority: z.int().min(0).max(100).default(50),
  /** Whether the WebSocket `exec` may run commands in the tenant's sessions. */
  exec: z.boolean().default(false),
  /**
   * The nodes on which the tenant's sessions may run: fields of the pod's spec. The stack checks the content of these fields;
   * the runtime checks only their form. If somebody writes wrong content by hand, Kubernetes refuses the sessions' pods.
   */
  placement: z
    .object({
      nodeSelector: z.record(z.string(), z.string()).default({}),
      tolerations: z.array(fields).default([]),
      affinity: fields.nullable().default(null),
    })
    .default({ nodeSelector: {}, tolerations: [], affinity: null }),
  /** Whether the namespace has an image puller, which reports the images that nodes lack; see missingImages.ts. */
  hasImagePuller: z.boolean().default(false),
  /**
   * What happens to the tenant's sessions on a node that is drained: they end (`end`), or those with a persistent workspace
   * resume on another node (`resume`).
   */
  onDrain: z.enum(["end", "resume"]).default("end"),
  /** How many warm sessions with the platform's image are kept ready, by tier. */
  warmPools: pools,
  /** Images that sessions may request in place of the platform's image; see sessionImages.ts. */
  images: z
    .array(
      z.object({
        name: label,
        /** The image with its digest. */
        image: z.string().min(1),
        desktop: z.boolean().default(false),
        command: z.array(z.string()).min(1).nullable().default(null),
        writableRoot: z.boolean().default(false),
        warmPools: pools,
      }),
    )
    .default([]),
  /** The URLs that get the tenant's events, each with the secret that signs the events. */
  webhooks: z.array(z.object({ url: z.url({ protocol: /^https?$/ }), secret: z.string().min(16) })).default([]),
});

export type Tenant = z.infer<typeof TenantSchema>;

const FileSchema = z.object({
  /** The writer of the file raises this number with each change. A file that is written by hand may omit the number. */
  generation: count.default(0),
  /**
   * The administrators' keys. They may read the limits, usage and webhook deliveries of all tenants, and send deliveries
   * again. They give no access to sessions.
   */
  admin: z.object({ keys: z.array(key) }).default({ keys: [] }),
  tenants: z.array(TenantSchema),
  /**
   * Names of tenants that are being removed: their sessions end. A session whose tenant is in neither list keeps
   * running.
   */
  closed: z.array(label).default([]),
});

/** The content of the file, with the tenants by name. */
export interface Tenants {
  generation: number;
  admin: { keys: z.infer<typeof key>[] };
  tenants: Map<string, Tenant>;
  closed: Set<string>;
}

/** Parses the file's text. Throws an error if the text is not JSON, or an error that names each wrong field and its rule. */
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

/** The owner of a key that a caller sent. `key` is the key's name for the audit trail, never the key itself. */
export type KeyHolder =
  | { role: "tenant"; tenant: Tenant; key: string; scopes: readonly Scope[]; expired: boolean }
  | { role: "admin"; key: string; expired: boolean };

/**
 * Finds the owner of a key. A key contains its tenant's name: `berth_<tenant>_<random>`, or `berth_admin_<random>` for the
 * admin. Undefined if no key in the file matches. A key that has expired at `now` (in milliseconds since 1970) is found too and
 * reported as expired, so that the API can tell the caller.
 */
export function findKeyHolder({ admin, tenants }: Tenants, text: string, now: number): KeyHolder | undefined {
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
