import { createDefaultMonokleValidator } from "@monokle/validation";
import { stringify } from "yaml";
import { type Finding, type Manifest, objectName } from "./manifests.ts";

/** The groups of rules that work without a network. For the two other groups, Monokle downloads schemas and OPA rules. */
const plugins = {
  "pod-security-standards": true,
  practices: true,
  "resource-links": true,
  "yaml-syntax": true,
  "kubernetes-schema": false,
  "open-policy-agent": false,
};

/** Returns the findings of these rules, including rules that are off by default. */
export async function monokleFindings(manifests: Manifest[]): Promise<Finding[]> {
  const validator = createDefaultMonokleValidator();
  await validator.preload({ plugins });
  const rules = Object.entries(validator.rules).flatMap(([plugin, all]) => all.map(({ name }) => `${plugin}/${name}`));
  await validator.preload({ plugins, rules: Object.fromEntries(rules.map((rule) => [rule, "err"])) });
  const { runs } = await validator.validate({ resources: manifests.map(resourceOf) });
  return runs
    .flatMap(({ results }) => results)
    .map(({ ruleId, message, locations }) => ({
      tool: "monokle" as const,
      rule: ruleId,
      object: locations[0]?.physicalLocation?.artifactLocation.uri ?? "",
      says: message.text,
    }));
}

/** The name of an object is used as the name of its file, so that a finding names the object. */
function resourceOf(manifest: Manifest) {
  const { apiVersion, kind, metadata } = manifest;
  const { name = "", namespace = "" } = metadata;
  const object = objectName(manifest);
  const where = { id: object, fileId: object, filePath: object, fileOffset: 0 };
  return { ...where, apiVersion, kind, name, namespace, content: manifest, text: stringify(manifest) };
}
