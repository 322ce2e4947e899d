/** The schemas of Kubernetes' own fields for the choice of nodes: labels, tolerations and affinities. */
import type { V1Affinity, V1Toleration } from "@kubernetes/client-node";
import { z } from "zod";

const segment = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
const labelKey = z.string().regex(new RegExp(`^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?${segment}$`), {
  error: "is not the key of a label, for example node.kubernetes.io/instance-type",
});

/** A label's value. YAML reads `true` and `1` as other types, and this type converts them to text. */
const labelValue = z.preprocess(
  (value) => (typeof value === "boolean" || typeof value === "number" ? String(value) : value),
  z.string().regex(new RegExp(`^(${segment})?$`), {
    error: "is not the value of a label: at most 63 characters of A-Z, a-z, 0-9, -, _ and .",
  }),
);

/** Labels with their values. */
export const labelMap = z.record(labelKey, labelValue);

const filled = { error: "is empty; name at least one, or leave the key out" };

/** How many values an operator needs. */
const valuesOf: Record<string, { what: string; fits: (values: string[]) => boolean }> = {
  In: { what: "one value or more", fits: ({ length }) => length > 0 },
  NotIn: { what: "one value or more", fits: ({ length }) => length > 0 },
  Exists: { what: "no values", fits: ({ length }) => length === 0 },
  DoesNotExist: { what: "no values", fits: ({ length }) => length === 0 },
  Gt: { what: "one whole number", fits: ([first = "", ...more]) => more.length === 0 && /^-?\d+$/.test(first) },
  Lt: { what: "one whole number", fits: ([first = "", ...more]) => more.length === 0 && /^-?\d+$/.test(first) },
};

/** @param operators those that Kubernetes knows in this place */
const expression = (operators: string[]) =>
  z
    .strictObject({
      key: labelKey,
      operator: z.enum(operators, { error: `is none of ${operators.join(", ")}` }),
      values: z.array(labelValue).optional(),
    })
    .check(({ value: { operator, values = [] }, issues }) => {
      const needed = valuesOf[operator];
      if (needed === undefined || needed.fits(values)) return;
      const message = `has other values than the operator ${operator} takes, which is ${needed.what}; correct \`values\``;
      issues.push({ code: "custom", input: values, path: [], message });
    });

const ofLabels = ["In", "NotIn", "Exists", "DoesNotExist"];

const labelSelector = z.strictObject({
  matchLabels: labelMap.optional(),
  matchExpressions: z.array(expression(ofLabels)).optional(),
});

const nodeTerm = z.strictObject({
  matchExpressions: z
    .array(expression([...ofLabels, "Gt", "Lt"]))
    .min(1, filled)
    .optional(),
  matchFields: z
    .array(expression(["In", "NotIn"]))
    .min(1, filled)
    .optional(),
});

const podTerm = z.strictObject({
  labelSelector: labelSelector.optional(),
  namespaceSelector: labelSelector.optional(),
  namespaces: z.array(z.string()).optional(),
  topologyKey: labelKey,
  matchLabelKeys: z.array(labelKey).optional(),
  mismatchLabelKeys: z.array(labelKey).optional(),
});

const weight = z
  .int({ error: "is not a whole number" })
  .min(1, { error: "is below 1" })
  .max(100, { error: "is above 100" });

const podAffinity = z.strictObject({
  requiredDuringSchedulingIgnoredDuringExecution: z.array(podTerm).optional(),
  preferredDuringSchedulingIgnoredDuringExecution: z
    .array(z.strictObject({ weight, podAffinityTerm: podTerm }))
    .optional(),
});

const affinityFields = z.strictObject({
  nodeAffinity: z
    .strictObject({
      requiredDuringSchedulingIgnoredDuringExecution: z
        .strictObject({ nodeSelectorTerms: z.array(nodeTerm).min(1, filled) })
        .optional(),
      preferredDuringSchedulingIgnoredDuringExecution: z
        .array(z.strictObject({ weight, preference: nodeTerm }))
        .optional(),
    })
    .optional(),
  podAffinity: podAffinity.optional(),
  podAntiAffinity: podAffinity.optional(),
});

const tolerationFields = z
  .strictObject({
    key: labelKey.optional(),
    operator: z.enum(["Equal", "Exists"], { error: "is neither Equal nor Exists" }).optional(),
    value: labelValue.optional(),
    effect: z
      .enum(["NoSchedule", "PreferNoSchedule", "NoExecute"], {
        error: "is none of NoSchedule, PreferNoSchedule, NoExecute",
      })
      .optional(),
    tolerationSeconds: z.int({ error: "is not a whole number" }).optional(),
  })
  .check(({ value, issues }) => {
    const fault = (path: string | undefined, input: unknown, message: string) =>
      issues.push({ code: "custom", input, path: path === undefined ? [] : [path], message });
    const { key, operator = "Equal", effect, tolerationSeconds } = value;
    if (key === undefined && operator !== "Exists")
      fault(undefined, value, "has no `key`, which only the operator Exists may leave out");
    if (operator === "Exists" && value.value !== undefined)
      fault("value", value.value, "is set, and the operator Exists takes no value; remove it");
    if (tolerationSeconds !== undefined && effect !== "NoExecute")
      fault("tolerationSeconds", tolerationSeconds, "needs the effect NoExecute");
  });

/**
 * A field that Kubernetes defines. docs/config.md shows such a field as one key, because Kubernetes' documentation explains what
 * is in it. The function still checks the value against the schema and reports the faults.
 */
const asInKubernetes = <T>(schema: z.ZodType) =>
  z.unknown().transform((value, context): T => {
    const result = schema.safeParse(value);
    if (result.success) return result.data as T;
    context.issues.push(...result.error.issues.map((issue) => ({ ...issue, input: value }) as z.core.$ZodRawIssue));
    return z.NEVER;
  });

export const affinity = asInKubernetes<V1Affinity>(affinityFields);
export const tolerations = asInKubernetes<V1Toleration[]>(z.array(tolerationFields));
