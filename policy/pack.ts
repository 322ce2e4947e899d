/** The rules as a Pulumi policy pack. Pulumi starts the pack by the script `run` in this folder. */
import { type Policies, PolicyPack } from "@pulumi/policy";
import { exceptionFor } from "./exceptions.ts";
import { kubernetesObject } from "./kubernetes.ts";
import type { Rule } from "./rule.ts";
import { rules } from "./rules/index.ts";

/** Extracts the stack's name from a URN: urn:pulumi:<stack>::<project>::… */
const stackOf = (urn: string) => urn.split(":")[2] ?? "";

const policies: Policies = rules.map(({ name, description, check, needsAll }: Rule) => {
  const validate: typeof check = (object, all) =>
    exceptionFor(name, object, stackOf(object.urn)) ? [] : check(object, all);
  if (needsAll)
    return {
      name,
      description,
      validateStack: ({ resources }, report) => {
        const all = resources.flatMap((resource) => kubernetesObject(resource) ?? []);
        for (const object of all) for (const fault of validate(object, all)) report(fault, object.urn);
      },
    };
  return {
    name,
    description,
    validateResource: (resource, report) => {
      const object = kubernetesObject(resource);
      if (object) for (const fault of validate(object, [object])) report(fault);
    },
  };
});

new PolicyPack("berth", { enforcementLevel: "mandatory", policies });
