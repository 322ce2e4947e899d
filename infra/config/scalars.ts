/** The value types of the config: which values each type allows, and the error message for other values. */
import { z } from "zod";
import { isQuantity } from "../../runtime/src/domain/quota/quantity.ts";
import { isCidr } from "./cidr.ts";
import { secondsOf } from "./duration.ts";
import { quantityGuesses } from "./quantity.ts";

/** A Kubernetes quantity. YAML reads `cpu: 20` as a number, and this type converts the number to the text "20". */
export const quantity = z.preprocess(
  (value) => (typeof value === "number" ? String(value) : value),
  z.string().check((check) => {
    if (isQuantity(check.value)) return;
    const guesses = quantityGuesses(check.value);
    const hint = guesses.length > 0 ? `; did you mean ${guesses.join(" or ")}?` : "; write for example 500m or 40Gi";
    check.issues.push({ code: "custom", input: check.value, message: `is not a Kubernetes quantity${hint}` });
  }),
);

/** Text like "90s", "30m", "8h" or "7d". */
export const duration = z.string().refine((text) => secondsOf(text) !== undefined, {
  error: "is not a duration; write for example 90s, 30m, 8h or 7d",
});

/** A cron schedule. This type checks that there are five fields; Kubernetes checks their content. */
export const schedule = z.string().regex(/^[\d*,/-]+( [\d*,/A-Za-z-]+){4}$/, {
  error: "is not a cron schedule of five fields; write for example 30 1 * * *",
});

/** A duration above zero. */
export const lasting = duration.refine((text) => secondsOf(text) !== 0, { error: "is not above zero" });

/**
 * A time in ISO 8601. A date without a time means midnight UTC at the beginning of that day. YAML reads a date without quotes
 * as a time, and Pulumi passes the time on in Go's format: `2027-01-31 00:00:00 +0000 UTC`.
 */
export const time = z.preprocess(
  (value) =>
    typeof value !== "string"
      ? value
      : value
          .replace(/^(\d{4}-\d\d-\d\d)$/, "$1T00:00:00Z")
          .replace(/^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)? \+0000 UTC$/, "$1T$2Z"),
  z.iso.datetime({
    offset: true,
    error: "is not a date or a time with its zone; write for example 2027-01-31T00:00:00Z",
  }),
);

export const wholeNumber = z.int({ error: "is not a whole number" });
export const count = wholeNumber.nonnegative({ error: "is below 0" });
export const port = wholeNumber.min(1, { error: "is below 1" }).max(65535, { error: "is above 65535" });
export const replicas = wholeNumber.min(1, { error: "is below 1" }).max(100, { error: "is above 100" });

/** A name that Kubernetes accepts for a namespace or a Service, and as the value of a label (a "DNS label"). */
export const name = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, {
  error: "is not a Kubernetes name: 1 to 63 characters of a-z, 0-9 and -, the first and last not a -",
});

/** A name that Kubernetes accepts for most other objects, for example a class or a Secret (a "DNS subdomain"). */
export const subdomain = z
  .string()
  .max(253, { error: "is longer than 253 characters, the most that Kubernetes allows in a name" })
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, {
    error: "is not a Kubernetes name: parts of a-z, 0-9 and - between dots, the first and last of each part not a -",
  });

export const url = z.url({ protocol: /^https?$/, error: "is not an http or https URL" });

export const cidr = z
  .string()
  .refine(isCidr, { error: "is not an address range; write for example 203.0.113.0/24 or 0.0.0.0/0" });

/** An image by digest, which always means the same image. */
export const imageByDigest = z.string().regex(/^[a-z0-9][a-z0-9._:/-]*(:[A-Za-z0-9._-]+)?@sha256:[0-9a-f]{64}$/, {
  error: "is not an image by digest; write for example docker.io/library/node:24@sha256:…",
});

/**
 * A secret such as a password. YAML and `pulumi config set --path` read a secret of digits as a number. No error message shows
 * the secret.
 */
export const secretText = (atLeast = 1) =>
  z.preprocess(
    (value) => (typeof value === "number" ? String(value) : value),
    z.custom<string>((value) => typeof value === "string" && value.length >= atLeast, {
      error: `is not text of ${atLeast} ${atLeast === 1 ? "character" : "characters"} or more`,
      params: { secret: true },
    }),
  );

/** A volume and its default size. */
export const volume = (size: string) =>
  z.strictObject({
    size: quantity.default(size).describe("The size of the volume."),
    storageClass: subdomain
      .nullable()
      .default(null)
      .describe(
        "The volume's StorageClass. Null: the StorageClass in the stack's key `storageClass`; if that key is null too, the cluster's default.",
      ),
  });

export type VolumeConfig = z.output<ReturnType<typeof volume>>;
