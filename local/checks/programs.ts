/** Go programs that make checks for which there is no npm package. Each machine builds each version once. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { goProgram } from "../lib/go.ts";

const sources = join(dirname(fileURLToPath(import.meta.url)), "programs");

/** Checks GitHub workflows. The build of this program takes ten seconds. */
export const actionlint = goProgram("actionlint", sources, { from: "github.com/rhysd/actionlint/cmd/actionlint" });
/** Scores manifests. */
export const kubeScore = goProgram("kube-score", sources, { from: "github.com/zegl/kube-score/cmd/kube-score" });
/**
 * Tells whether Kubernetes' Pod Security library accepts a pod; see programs/podsecurity. This program has its own Go module,
 * because kube-score does not compile with the same version of the Kubernetes libraries.
 */
export const podSecurity = goProgram("podsecurity", join(sources, "podsecurity"), { from: "." });

/** Builds kube-score and podsecurity unless they exist already. Together, the two builds take half a minute. */
export async function ensureManifestChecks(): Promise<void> {
  await kubeScore.ensure();
  await podSecurity.ensure();
}
