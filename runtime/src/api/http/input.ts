/** Schemas of input that several endpoints share. */
import { z } from "zod";
import { dnsLabel } from "../../domain/tenants.ts";
import { Problem } from "./problem.ts";

/** A UUID of any version. The schema does not check whether the session exists. */
export const IdParams = z.object({ id: z.guid("must be a UUID").toLowerCase() });
export type IdParams = z.infer<typeof IdParams>;

/** A tenant's name. The schema does not check whether the tenant exists. */
export const tenantName = z.string().regex(dnsLabel, "must be a tenant's name");

/** A boolean in a query. */
export const YesOrNo = z.enum(["true", "false"], "must be true or false");

/** A whole number in a query, from `min` to `max`. If the query does not contain it, the number is `value`. */
export const wholeNumber = (min: number, max: number, value: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((number) => number >= min && number <= max, `must be a whole number from ${min} to ${max}`)
    .default(value)
    .meta({ override: { type: "integer", minimum: min, maximum: max, default: value } });

/** A JSON object with exactly these fields. */
export const jsonObject = <S extends z.core.$ZodLooseShape>(shape: S) =>
  z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? undefined : "must be a JSON object"),
  });

/** A query parameter that may be given several times. */
export const several = <T extends z.ZodType>(one: T, min = 1, max = 20) =>
  z.preprocess(
    (given) => (given === undefined || Array.isArray(given) ? given : [given]),
    z
      .array(one, "must be given")
      .min(min, "must be given at least once")
      .max(max, `must be given at most ${max} times`),
  );

/** Text that every store and every program can hold: well-formed Unicode without NUL. */
export const plainText = (max: number) =>
  z
    .string("must be text")
    .max(max, `must have at most ${max} characters`)
    .refine((text) => text.isWellFormed() && !text.includes("\0"), "must be well-formed text without NUL");

/** The requested thing; throws a 404 if it is undefined. */
export function found<T>(thing: T | undefined, id: string, what = "session"): T {
  if (thing === undefined) throw new Problem(404, `There is no ${what} ${id}.`);
  return thing;
}
