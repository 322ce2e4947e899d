/** Which pods Kubernetes prefers when a node is full. */
import { z } from "zod";
import { subdomain } from "./scalars.ts";

const priorityClass = (standard: { name: string; value: number }, pods: string) =>
  z
    .strictObject({
      name: subdomain.default(standard.name).describe(`The name of the PriorityClass of ${pods}.`),
      value: z
        .int({ error: "is not a whole number" })
        .min(-2_147_483_648, { error: "is below -2147483648" })
        .max(1_000_000_000, { error: "is above 1000000000" })
        .nullable()
        .default(standard.value)
        .describe(
          "The priority. A pod without a class usually has 0. Null: the class exists, and the stack does not make one.",
        ),
    })
    .refine(({ name, value }) => value === null || !name.startsWith("system-"), {
      path: ["name"],
      error: "is a name that Kubernetes reserves; to use a class that exists, set `value: null`",
    });

export const priorityClasses = z
  .strictObject({
    platform: priorityClass({ name: "berth-platform", value: 1_000_000 }, "the platform's pods")
      .prefault({})
      .describe(
        "The platform's pods may preempt pods of lower priority, also sessions, because sessions need the platform.",
      ),
    imagePullers: priorityClass({ name: "berth-image-puller", value: 1_001 }, "the image pullers")
      .prefault({})
      .describe("Image pullers preempt no pod. The quotas of tenants do not count pods of this class."),
    // Cluster Autoscaler adds no node for pods below -10.
    sessions: priorityClass({ name: "berth-sessions", value: -5 }, "sessions whose tenant has no `priorityClassName`")
      .prefault({})
      .describe(
        "Sessions preempt no pod. The default is below the pods without a class, so that sessions wait for other work of a shared cluster. Below -10, Cluster Autoscaler adds no nodes for sessions.",
      ),
  })
  .check(({ value, issues }) => {
    const { platform, imagePullers, sessions } = value;
    const fault = (path: string[], input: unknown, message: string) =>
      issues.push({ code: "custom", input, path, message });
    if ([platform.name, sessions.name].includes(imagePullers.name))
      fault(
        ["imagePullers", "name"],
        imagePullers.name,
        "is the class of other pods too, and the quotas of tenants count no pod of this class; name another class",
      );
    if (sessions.name === platform.name)
      fault(
        ["sessions", "name"],
        sessions.name,
        "is the class of the platform's pods too, and sessions must not preempt other pods; name another class",
      );
    if (platform.value !== null && sessions.value !== null && sessions.value >= platform.value)
      fault(
        ["sessions", "value"],
        sessions.value,
        `is not below priorityClasses.platform.value, which is ${platform.value}, so the platform could not preempt sessions`,
      );
  });

export type PriorityClassesConfig = z.output<typeof priorityClasses>;

interface Classes {
  priorityClasses: PriorityClassesConfig;
  tenants: { priorityClassName: string | null }[];
}

/** Refuses a tenant whose sessions would have the class of the platform's pods or of the image pullers. */
export function ofSessionsOnly(check: z.core.ParsePayload<Classes>): void {
  const { platform, imagePullers } = check.value.priorityClasses;
  const others = {
    [platform.name]:
      "is the class of the platform's pods, and sessions must not preempt other pods; name another class",
    [imagePullers.name]: "is the class of the image pullers, whose pods no quota counts; name another class",
  };
  check.value.tenants.forEach(({ priorityClassName }, index) => {
    const message = others[priorityClassName ?? ""];
    if (message === undefined) return;
    check.issues.push({
      code: "custom",
      input: priorityClassName,
      path: ["tenants", index, "priorityClassName"],
      message,
    });
  });
}
