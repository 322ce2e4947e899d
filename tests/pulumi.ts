/** Runs `pulumi up` with a config that a test has changed, and reports the operations. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { parse, stringify } from "yaml";
import { settingsOf } from "../local/pulumi/moved.ts";
import { stackEnvironment } from "../local/pulumi/stack.ts";
import { ensureLanguageHost } from "../local/pulumi/tools.ts";
import { root } from "../machine/machine.ts";

/** The config entry of a tenant. */
export type TenantEntry = { name: string } & Record<string, unknown>;

/** The stack's config file. */
export interface StackFile {
  config: Record<string, unknown> & { "berth:tenants": TenantEntry[] };
}

export interface Run {
  failed: boolean;
  /** The output of Pulumi. */
  output: string;
  /** The operations that change resources of the stack, for example `create Namespace tenant-acme`, sorted. */
  operations: string[];
}

export interface UpOptions {
  /** The stack. Default: dev. */
  stack?: string;
  /** The Pulumi command. Default: up. A preview reports what `up` would do. */
  command?: "up" | "preview";
  /** Changes the config of Pulumi.dev.yaml for this run only. Other stacks get this config too. */
  change?: (file: StackFile) => void;
  /** The checkout that contains the program. Default: this checkout. */
  checkout?: string;
  /** Further arguments, for example --refresh. */
  flags?: string[];
}

const on = (stack: string) => ["--stack", stack, "--non-interactive", "--color", "never"];
const unasked = ["--yes", "--skip-preview"];

/** Runs Pulumi. If Pulumi fails, the function does not throw; the field `failed` of the result says so. */
export async function up(options: UpOptions = {}): Promise<Run> {
  const { stack = "dev", command = "up", change = () => {}, checkout = root, flags = [] } = options;
  await ensureLanguageHost();
  const folder = await mkdtemp(join(tmpdir(), "berth-up-"));
  try {
    const [config, log] = [join(folder, "Pulumi.dev.yaml"), join(folder, "events")];
    const file = parse(settingsOf("dev")) as StackFile;
    change(file);
    await writeFile(config, stringify(file));
    const what = [command, ...on(stack), ...(command === "up" ? unasked : [])];
    const { failed, all } = await execa("pulumi", [...what, "--config-file", config, "--event-log", log, ...flags], {
      cwd: checkout,
      // Pulumi writes its event log only if its debug commands are enabled.
      env: { ...stackEnvironment(), PULUMI_DEBUG_COMMANDS: "true" },
      reject: false,
      all: true,
    });
    return { failed, output: all, operations: operations(await readFile(log, "utf8").catch(() => "")) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Runs Pulumi. If Pulumi fails, the error contains Pulumi's output. */
export async function upOrThrow(options: UpOptions = {}): Promise<Run> {
  const run = await up(options);
  if (run.failed) throw new Error(`\`pulumi ${options.command ?? "up"}\` failed:\n${run.output}`);
  return run;
}

/** Deletes all resources of the stack. The stack itself remains, without resources. */
export async function destroyOrThrow(stack = "dev"): Promise<void> {
  const options = { cwd: root, env: stackEnvironment() };
  // The stack protects the tenants' namespaces.
  await execa("pulumi", ["state", "unprotect", "--all", "--yes", "--stack", stack], options);
  await execa("pulumi", ["destroy", ...on(stack), ...unasked], options);
}

/** Deploys the stack with a changed config. The clean-up deploys the original config again, also after a failure. */
export async function deploy(cleanUp: AsyncDisposableStack, options: UpOptions): Promise<void> {
  cleanUp.defer(async () => void (await upOrThrow()));
  await upOrThrow(options);
}

/** Gives the resources the names that older versions know, as docs/upgrading.md describes for a downgrade. */
export async function giveFormerNames(): Promise<void> {
  const command = "pulumi stack export -s dev | npx node tools/former-names.ts | pulumi stack import -s dev";
  await execa("sh", ["-c", command], { cwd: root, env: stackEnvironment() });
}

interface EngineEvent {
  resOutputsEvent?: { metadata: { op: string; urn: string } };
}

/** Extracts the operations that change something from the engine's events. Each line is a JSON object. */
function operations(log: string): string[] {
  return log
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => (JSON.parse(line) as EngineEvent).resOutputsEvent?.metadata ?? [])
    .filter(({ op }) => !["same", "read", "discard", "refresh"].includes(op))
    .map(({ op, urn }) => `${op} ${kindOf(urn)} ${nameOf(urn)}`)
    .sort();
}

/** Extracts the kind from a URN: `urn:pulumi:dev::berth::…$kubernetes:core/v1:Namespace::tenant-acme` gives `Namespace`. */
const kindOf = (urn: string) => (urn.split("::")[2] ?? "").split(":").at(-1);
const nameOf = (urn: string) => urn.split("::")[3];
