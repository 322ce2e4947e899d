/** Go programs for checks that no npm package offers. Each machine builds each version once. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { goProgram } from "../lib/go.ts";

const sources = join(dirname(fileURLToPath(import.meta.url)), "programs");

/** Checks GitHub workflows (built in ten seconds). */
export const actionlint = goProgram("actionlint", sources, { from: "github.com/rhysd/actionlint/cmd/actionlint" });
/** Scores manifests. */
export const kubeScore = goProgram("kube-score", sources, { from: "github.com/zegl/kube-score/cmd/kube-score" });
/**
 * Tells whether Kubernetes' Pod Security library accepts a pod; see programs/podsecurity. This program has its own Go module,
 * because kube-score does not compile with the same version of the Kubernetes libraries.
 */
export const podSecurity = goProgram("podsecurity", join(sources, "podsecurity"), { from: "." });

/** Builds kube-score and podsecurity unless they exist already (half a minute). */
export async function ensureManifestChecks(): Promise<void> {
  await kubeScore.ensure();
  await podSecurity.ensure();
}
