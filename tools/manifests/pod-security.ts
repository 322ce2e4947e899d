import { execa } from "execa";
import { podSecurityVersion } from "../../infra/kubernetes/security.ts";
import { podSecurity } from "../../local/checks/programs.ts";
import { podOf } from "../../policy/kubernetes.ts";
import { type Finding, type Manifest, objectName } from "./manifests.ts";

/**
 * Returns the findings of Kubernetes' Pod Security library for the pods, by the level `restricted` in the version that the
 * namespaces enforce. `ensureManifestChecks` must have run before.
 */
export async function podSecurityFindings(manifests: Manifest[]): Promise<Finding[]> {
  const pods = manifests.flatMap((manifest) => {
    const pod = podOf({ kind: manifest.kind, manifest });
    return pod ? [{ object: objectName(manifest), pod }] : [];
  });
  const input = pods.map(({ pod }) => `${JSON.stringify(pod)}\n`).join("");
  const { stdout } = await execa(podSecurity.file, ["-version", podSecurityVersion], { input });
  const verdicts = stdout.split("\n");
  return pods.flatMap(({ object }, index) => {
    const says = verdicts[index] ?? "no verdict";
    return says === "" ? [] : [{ tool: "pod-security" as const, rule: "restricted", object, says }];
  });
}
