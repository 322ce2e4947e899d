import { execa } from "execa";
import { kubeScore } from "../../local/checks/programs.ts";
import { type Finding, type Manifest, objectName } from "./manifests.ts";

/** An object in kube-score's JSON output. */
interface Scored {
  type_meta: { kind: string; apiVersion: string };
  object_meta: Manifest["metadata"];
  checks: {
    check: { id: string };
    grade: number;
    skipped: boolean;
    comments: { path: string; summary: string }[] | null;
  }[];
}

/** kube-score's grade for a passed check. Lower grades are warnings (5) and errors (1). */
const well = 10;

const optional = ["container-seccomp-profile", "container-ports-check"];

/** Returns kube-score's findings, including warnings. `ensureManifestChecks` must have run before. */
export async function kubeScoreFindings(manifests: Manifest[]): Promise<Finding[]> {
  const args = ["score", "--output-format", "json", "--kubernetes-version", "v1.34"];
  const tests = optional.flatMap((test) => ["--enable-optional-test", test]);
  const input = manifests.map((manifest) => JSON.stringify(manifest)).join("\n---\n");
  // kube-score exits with 1 if it finds a fault, so the exit code is no error.
  const { stdout, stderr } = await execa(kubeScore.file, [...args, ...tests, "-"], { input, reject: false });
  if (!stdout.startsWith("[")) throw new Error(`kube-score failed: ${stderr}`);
  return (JSON.parse(stdout) as Scored[]).flatMap(({ type_meta, object_meta, checks }) =>
    checks
      .filter(({ grade, skipped }) => !skipped && grade < well)
      .map(({ check, comments }) => ({
        tool: "kube-score" as const,
        rule: check.id,
        object: objectName({ ...type_meta, metadata: object_meta }),
        says: (comments ?? []).map(({ path, summary }) => `${path} ${summary}`.trim()).join("; "),
      })),
  );
}
