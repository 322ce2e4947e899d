/** Builds Pulumi's CLI and its language host for Node.js from their Go modules. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { goBuild, moduleVersion } from "../lib/go.ts";

/** The folder of the Go modules that pin the versions of the CLI and of the language host. */
const sources = join(dirname(fileURLToPath(import.meta.url)), "programs");

const cli = "github.com/pulumi/pulumi/pkg/v3";

/**
 * The Go package of the language host, in the SDK's module. Pulumi has moved the language host to a module that no Go proxy has.
 * The build takes the last version of the SDK's module that contains the language host. This old language host works with
 * today's SDK and CLI too.
 */
const languageHost = "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs";

/** The version of the CLI that `buildPulumi` makes, for example 3.258.0. */
export const builtVersion = (): string => moduleVersion(join(sources, "cli"), cli).slice(1);

const settings = () => [`github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${builtVersion()}`];

/**
 * Builds the program `pulumi` and puts the program into `dir`. The build takes about four minutes on two cores.
 * @throws UserError
 */
export const buildPulumi = (dir: string): Promise<void> =>
  goBuild(join(sources, "cli"), dir, [`${cli}/cmd/pulumi`], { settings: settings() });

/** Builds the program `pulumi-language-nodejs` and puts the program into `dir`. @throws UserError */
export const buildLanguageHost = (dir: string): Promise<void> =>
  goBuild(join(sources, "language-nodejs"), dir, [languageHost], { settings: settings() });
