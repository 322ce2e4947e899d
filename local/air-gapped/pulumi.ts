/** Builds Pulumi's command line and its language host for Node.js from their Go modules. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { machine } from "../../machine/machine.ts";
import { buildOnce, goBuild, moduleVersion, sourcesVersion } from "../lib/go.ts";

const { binDir } = machine;

/** The folder of the Go modules that pin the versions of the command line and of the language host. */
const sources = join(dirname(fileURLToPath(import.meta.url)), "programs");

const cli = { module: "github.com/pulumi/pulumi/pkg/v3", program: "cmd/pulumi" };

/**
 * The Go package of the language host, in the SDK's module. Pulumi has moved the language host to a module that no Go proxy has.
 * The build takes the last version of the SDK's module that contains the language host. This old language host works with
 * today's SDK and command line too.
 */
const languageHost = "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs";

/** The version of the command line that `buildPulumi` makes, for example 3.258.0. */
export const builtVersion = (): string => moduleVersion(join(sources, "cli"), cli.module).slice(1);

const settings = () => [`github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${builtVersion()}`];

/**
 * Builds the program `pulumi` and puts the program into `dir`. The build takes about four minutes on two cores.
 * @throws UserError
 */
export const buildPulumi = (dir: string): Promise<void> =>
  goBuild(join(sources, "cli"), dir, [`${cli.module}/${cli.program}`], { settings: settings() });

/** Builds the program `pulumi-language-nodejs` and puts the program into `dir`. @throws UserError */
export const buildLanguageHost = (dir: string): Promise<void> =>
  goBuild(join(sources, "language-nodejs"), dir, [languageHost], { settings: settings() });

/**
 * The folder that `ensureBuiltPulumi` makes. Its subfolder `bin` contains the program `pulumi`. If `npm run up` can't obtain the
 * official command line, `npm run up` builds the same program, but into another folder.
 */
export const builtPulumi = join(binDir, `pulumi-${sourcesVersion(join(sources, "cli"), "*.go")}`);

/**
 * Builds the command line, unless this version was built before. For a test of the built command line: on a machine that can
 * download the official command line, `npm run up` builds none.
 */
export const ensureBuiltPulumi = (): Promise<string> =>
  buildOnce(builtPulumi, (folder) => buildPulumi(join(folder, "bin")));
