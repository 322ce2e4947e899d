/** Builds Pulumi's command line and its language host for Node from their Go modules. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { machine } from "../../machine/machine.ts";
import { buildOnce, goBuild, moduleVersion, sourcesVersion } from "../lib/go.ts";

const { binDir } = machine;

/** The Go modules that pin them. */
const sources = join(dirname(fileURLToPath(import.meta.url)), "programs");

const cli = { module: "github.com/pulumi/pulumi/pkg/v3", program: "cmd/pulumi" };

/**
 * The language host has moved to a module that no Go proxy carries; this is its last version in the SDK's, which serves
 * today's SDK and command line just as well.
 */
const languageHost = "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs";

/** Names the pinned modules: what decides the binaries. */
const pulumiSources = (): string =>
  ["cli", "language-nodejs"].map((module) => sourcesVersion(join(sources, module), "*.go")).join("-");

/** The version of the command line that `buildPulumi` makes, for example 3.258.0. */
export const builtVersion = (): string => moduleVersion(join(sources, "cli"), cli.module).slice(1);

const settings = () => [`github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${builtVersion()}`];

/** Fills `dir` with `pulumi` (about four minutes on two cores). @throws UserError */
export const buildPulumi = (dir: string): Promise<void> =>
  goBuild(join(sources, "cli"), dir, [`${cli.module}/${cli.program}`], { settings: settings() });

/** Fills `dir` with `pulumi-language-nodejs`. @throws UserError */
export const buildLanguageHost = (dir: string): Promise<void> =>
  goBuild(join(sources, "language-nodejs"), dir, [languageHost], { settings: settings() });

/** Where `ensureBuiltPulumi` puts a command line like the one that is built where none can be had, in `bin`. */
export const builtPulumi = join(binDir, `pulumi-${pulumiSources()}`);

/** Builds it once per version, for tests on machines that can have the official one. */
export const ensureBuiltPulumi = (): Promise<string> =>
  buildOnce(builtPulumi, (folder) => buildPulumi(join(folder, "bin")));
