/** JSON schemas that describe a session, in the API's requests and answers. */
import { z } from "zod";
import { expiresAt, type Session } from "../domain/session.ts";
import { causes, states } from "../domain/states/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import { tierNames } from "../domain/tiers.ts";
import { jsonObject, plainText, several, wholeNumber } from "./http/input.ts";

const time = z.iso.datetime();

export const SessionJson = z
  .object({
    id: z.uuid(),
    tenant: z.string(),
    tier: z.enum(tierNames),
    image: z.string().nullable().meta({ description: "The name of the tenant's image; null: the platform's image." }),
    desktop: z.boolean().meta({ description: "Whether the session has a desktop, which depends on its image." }),
    labels: z.record(z.string(), z.string()),
    priority: z.int().meta({ description: "0 to 100. Within a tenant, a higher number starts first." }),
    state: z.enum(states),
    reason: z.string().nullable().meta({ description: "A text for users: why the session is in this state." }),
    cause: z.enum(causes).nullable().meta({ description: "A code for programs: why the session ends or has ended." }),
    queuePosition: z.int().nullable().meta({
      description:
        "While queued: the session's position among the tenant's queued sessions; 1 starts next. Null in other states.",
    }),
    progress: z
      .object({ message: z.string(), percent: z.number().nullable() })
      .nullable()
      .meta({ description: "The progress that the agent reported last." }),
    idleTimeoutSeconds: z.int().nullable().meta({ description: "Ends after this time without activity; null: never." }),
    maxLifetimeSeconds: z.int().nullable().meta({ description: "Ends after running for this time; null: never." }),
    workspace: z.object({
      mode: z.enum(["persistent", "ephemeral"]),
      keptUntil: time.nullable().meta({ description: "After the end: until when the workspace is kept." }),
    }),
    createdAt: time,
    updatedAt: time,
    stateSince: time,
    startedAt: time.nullable(),
    lastActiveAt: time.nullable(),
    expiresAt: time.nullable().meta({ description: "When the lifetime ends if the session keeps running." }),
    endedAt: time.nullable(),
    links: z.object({
      self: z.url(),
      desktop: z.url().nullable().meta({ description: "The desktop's page; null without a desktop." }),
    }),
  })
  .meta({ id: "Session" });

export type SessionJson = z.infer<typeof SessionJson>;

const iso = (date: Date | null) => date?.toISOString() ?? null;

/**
 * The session in the form in which users get it. The pod's address stays internal.
 * @param queuePosition the session's position in the tenant's queue; null: it is not queued
 */
export function toJson(session: Session, publicUrl: string, queuePosition: number | null): SessionJson {
  return {
    id: session.id,
    tenant: session.tenant,
    tier: session.tier,
    image: session.image,
    desktop: session.desktop,
    labels: session.labels,
    priority: session.priority,
    state: session.state,
    reason: session.reason,
    cause: session.cause,
    queuePosition,
    progress: session.progress,
    idleTimeoutSeconds: session.idleTimeoutSeconds,
    maxLifetimeSeconds: session.maxLifetimeSeconds,
    workspace: { mode: session.workspaceMode, keptUntil: iso(session.workspaceUntil) },
    createdAt: session.createdAt.toISOString(),
    updatedAt: session.updatedAt.toISOString(),
    stateSince: session.stateSince.toISOString(),
    startedAt: iso(session.startedAt),
    lastActiveAt: iso(session.lastActiveAt),
    expiresAt: iso(expiresAt(session)),
    endedAt: iso(session.endedAt),
    links: {
      self: `${publicUrl}/v1/sessions/${session.id}`,
      desktop: session.desktop ? `${publicUrl}/desktop/${session.id}` : null,
    },
  };
}

const labelName = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/;
const labelRule = "must be 1 to 63 letters, digits and ._/- and must begin and end with a letter or digit";
const variableName = /^(?!BERTH_)[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const variableRule = "must be a variable's name: letters, digits and _, not beginning with a digit or BERTH_";

const objectRule = "must be an object of strings";

const record = (name: RegExp, rule: string, value: z.ZodType<string>, max: number) =>
  z
    .record(z.string().regex(name, rule), value, {
      // For a wrong name, Zod uses the message of the whole record, so the rule for names is given here.
      error: (issue) => (issue.code === "invalid_key" ? `has a name that is not allowed: a name ${rule}` : objectRule),
    })
    .refine((given) => Object.keys(given).length <= max, `must have at most ${max} entries`);

/** Environment variables by name. */
export const variables = () => record(variableName, variableRule, plainText(32_768), 100);

const seconds = (min: number) =>
  z
    .int("must be a whole number of seconds")
    .min(min, `must be at least ${min}`)
    .max(31_536_000, "must be at most 31536000, a year");

export const CreateBody = jsonObject({
  tier: z.enum(tierNames, { error: `must be one of ${tierNames.join(", ")}` }),
  image: plainText(63)
    .optional()
    .meta({ description: "The name of one of the tenant's images. Default: the platform's image with a desktop." }),
  labels: record(labelName, labelRule, plainText(256), 32)
    .optional()
    .meta({ description: "Your own names and values, to find sessions by." }),
  command: z
    .array(plainText(4096), "must be a list of strings")
    .min(1, "must have at least the program")
    .max(64, "must have at most 64 entries")
    .optional()
    .meta({
      description:
        "The agent: its program and arguments. Default: the command that the config names for the image, if any. The image's own entry point is never used.",
    }),
  env: variables().optional().meta({ description: "Environment variables of the command." }),
  secrets: variables().optional().meta({
    description:
      "Environment variables that no API call returns. The command gets them once. Programs of the same session can read them from the running command.",
  }),
  idleTimeoutSeconds: seconds(30)
    .optional()
    .meta({ description: "Ends after this time without activity. Default and limit: the tenant's." }),
  maxLifetimeSeconds: seconds(30)
    .optional()
    .meta({ description: "Ends after running for this time. Default and limit: the tenant's." }),
})
  .refine(({ env = {}, secrets = {} }) => !Object.keys(secrets).some((name) => Object.hasOwn(env, name)), {
    path: ["secrets"],
    error: "must not have names that are in env too",
  })
  .meta({ id: "NewSession" });
export type CreateBody = z.infer<typeof CreateBody>;

export const ExtendBody = jsonObject({
  seconds: seconds(1).meta({ description: "For how many seconds longer the session may run." }),
}).meta({ id: "Extension" });
export type ExtendBody = z.infer<typeof ExtendBody>;

/** The session's limits: the request's, or else the tenant's; and a fault for each limit that exceeds the tenant's. */
export function limitsFor(tenant: Tenant, asked: Pick<CreateBody, "idleTimeoutSeconds" | "maxLifetimeSeconds">) {
  const names = ["idleTimeoutSeconds", "maxLifetimeSeconds"] as const;
  const faults = names.flatMap((name) => {
    const [limit, wanted] = [tenant[name], asked[name]];
    const over = limit !== null && wanted !== undefined && wanted > limit;
    return over ? [{ path: [name], message: `must be at most ${limit}, the tenant's limit` }] : [];
  });
  const limits = {
    idleTimeoutSeconds: asked.idleTimeoutSeconds ?? tenant.idleTimeoutSeconds,
    maxLifetimeSeconds: asked.maxLifetimeSeconds ?? tenant.maxLifetimeSeconds,
  };
  return { limits, faults };
}

const labelFilter = z
  .string()
  .regex(/^[^=]+=/, "must be name=value")
  .pipe(plainText(320));

/** Which of the tenant's sessions a list has. */
export const ListQuery = z.strictObject({
  limit: wholeNumber(1, 100, 20),
  cursor: z.uuid("must be a nextCursor of an earlier answer").optional(),
  state: several(z.enum(states, `must be one of ${states.join(", ")}`)).optional(),
  tier: z.enum(tierNames, `must be one of ${tierNames.join(", ")}`).optional(),
  label: several(labelFilter).optional().meta({ description: "name=value. With several, all must match." }),
});
export type ListQuery = z.infer<typeof ListQuery>;

/** A page of a list of sessions. */
export const SessionsPage = z
  .object({ items: z.array(SessionJson), nextCursor: z.uuid().nullable() })
  .meta({ id: "Sessions" });
export type SessionsPage = z.infer<typeof SessionsPage>;
