/** JSON schemas that describe sessions' ports, and links to the ports. */
import { z } from "zod";
import { portOf } from "../domain/sandboxUrl.ts";
import { IdParams, jsonObject, plainText } from "./http/input.ts";

/** The path that a link opens at the port's address. The gateway answers requests for this path itself; the program gets none. */
export const linkPath = "/.berth/open";

export const PortJson = z
  .object({
    port: z.int(),
    address: z.string().meta({ description: "The address on which it listens, e.g. 0.0.0.0, 127.0.0.1 or ::." }),
    pid: z.int().nullable().meta({ description: "The process id of the listening program; null if it is not known." }),
    program: z.string().nullable(),
    url: z.url().nullable().meta({
      description: "The port's private address for clients outside; null if the stack has no `sandboxUrl`.",
    }),
  })
  .meta({ id: "Port" });

export const PortsJson = z.object({ items: z.array(PortJson) }).meta({ id: "Ports" });

const rule = "must be a port from 1 to 65535, without leading zeros";

export const PortParams = IdParams.extend({
  port: z
    .string()
    .refine((text) => portOf(text) !== undefined, rule)
    .transform(Number)
    .meta({ override: { type: "integer", minimum: 1, maximum: 65_535 } }),
});
export type PortParams = z.infer<typeof PortParams>;

export const PortLinkBody = jsonObject({
  lifetimeSeconds: z
    .int("must be a whole number of seconds")
    .min(10, "must be at least 10")
    .max(86_400, "must be at most 86400, a day")
    .default(3_600)
    .meta({ description: "For how many seconds the link, the token and the connections that they open are valid." }),
  path: plainText(2_000)
    .regex(/^\/(?![/\\])[\x21-\x7e]*$/, "must begin with exactly one / and contain only printable ASCII without spaces")
    .default("/")
    .meta({ description: "The path in the program to which the link leads." }),
})
  .prefault({})
  .meta({ id: "NewPortLink" });
export type PortLinkBody = z.infer<typeof PortLinkBody>;

export const PortLinkJson = z
  .object({
    id: z.uuid().meta({ description: "The id by which the link is listed and revoked, together with its token." }),
    url: z.url().meta({ description: "A link for one browser, which may use the port until the link expires." }),
    token: z
      .string()
      .meta({ description: "A token for programs, sent in the header x-berth-token to the port's URL." }),
    expiresAt: z.iso.datetime(),
  })
  .meta({ id: "PortLink" });
