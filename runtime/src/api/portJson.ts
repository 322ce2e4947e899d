/** Ports of sessions as users see them, and what is asked of a link to one. */
import { z } from "zod";
import { portOf } from "../domain/sandboxUrl.ts";
import { IdParams, jsonObject, plainText } from "./http/input.ts";

/** Where a link leads at the port's address, before its program. */
export const linkPath = "/.berth/open";

export const PortJson = z
  .object({
    port: z.int(),
    address: z.string().meta({ description: "Where it listens, e.g. 0.0.0.0, 127.0.0.1 or ::." }),
    pid: z.int().nullable().meta({ description: "The program that listens, where it can be told." }),
    program: z.string().nullable(),
    url: z.url().nullable().meta({
      description: "Where it is reached from outside, privately; null if the stack has no `sandboxUrl`.",
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
  expiresInSeconds: z
    .int("must be a whole number of seconds")
    .min(10, "must be at least 10")
    .max(86_400, "must be at most 86400, a day")
    .default(3_600)
    .meta({ description: "For how long the link, the token and what they opened are good." }),
  path: plainText(2_000)
    .regex(/^\/(?![/\\])[\x21-\x7e]*$/, "must begin with one / and be written as in an address")
    .default("/")
    .meta({ description: "Where in the program the link leads." }),
})
  .prefault({})
  .meta({ id: "NewPortLink" });
export type PortLinkBody = z.infer<typeof PortLinkBody>;

export const PortLinkJson = z
  .object({
    url: z.url().meta({ description: "For one browser, which it lets in until it expires." }),
    token: z.string().meta({ description: "For programs, in the header x-berth-token, with the port's own URL." }),
    expiresAt: z.iso.datetime(),
  })
  .meta({ id: "PortLink" });
