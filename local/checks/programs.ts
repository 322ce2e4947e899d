/** Programs in Go that check what npm's packages can't: built once per version and machine. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { machine } from "../../machine/machine.ts";
import { buildOnce, goBuild, sourcesVersion } from "../lib/go.ts";

const { binDir } = machine;

const sources = join(dirname(fileURLToPath(import.meta.url)), "programs");
/** A module of its own: kube-score does not compile beside the Kubernetes libraries of this version. */
const podSecuritySources = join(sources, "podsecurity");

const version = sourcesVersion(sources, "*.go");
const actionlintDir = join(binDir, `actionlint-${version}`);
const kubeScoreDir = join(binDir, `kube-score-${version}`);
const podSecurityDir = join(binDir, `podsecurity-${sourcesVersion(podSecuritySources, "*.go")}`);

/** Checks GitHub workflows. There once `ensureActionlint` has run. */
export const actionlint = join(actionlintDir, "actionlint");
/** Scores manifests. There once `ensureManifestChecks` has run, as the next. */
export const kubeScore = join(kubeScoreDir, "kube-score");
/** The Pod Security library's verdict; see programs/podsecurity. */
export const podSecurity = join(podSecurityDir, "podsecurity");

/** Builds actionlint unless it is there (ten seconds). Returns what it did. */
export const ensureActionlint = (): Promise<string> =>
  buildOnce(actionlintDir, (dir) => goBuild(sources, dir, ["github.com/rhysd/actionlint/cmd/actionlint"]));

/** Builds kube-score and podsecurity unless they are there (half a minute). */
export async function ensureManifestChecks(): Promise<void> {
  await buildOnce(kubeScoreDir, (dir) => goBuild(sources, dir, ["github.com/zegl/kube-score/cmd/kube-score"]));
  await buildOnce(podSecurityDir, (dir) => goBuild(podSecuritySources, dir, ["."]));
}
