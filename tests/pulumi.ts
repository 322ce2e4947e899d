/** Runs `pulumi up` on the stack `dev` with a config that a test has changed, and tells what it did. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { parse, stringify } from "yaml";
import { settingsOf } from "../local/pulumi/moved.ts";
import { stackEnvironment } from "../local/pulumi/stack.ts";
import { ensureLanguageHost } from "../local/pulumi/tools.ts";
import { root } from "../machine/machine.ts";

/** A tenant's entry in the config. */
export type TenantEntry = { name: string } & Record<string, unknown>;

/** The stack's config as its file has it. */
export interface StackFile {
  config: Record<string, unknown> & { "berth:tenants": TenantEntry[] };
}

export interface Run {
  failed: boolean;
  /** What Pulumi wrote. */
  output: string;
  /** What was done to the cluster, for example `create Namespace tenant-acme`, sorted; what stayed the same is left out. */
  operations: string[];
}

interface Options {
  /** Default: up. A preview tells what an `up` would do. */
  command?: "up" | "preview";
  /** Changes the config of Pulumi.dev.yaml for this run. */
  change?: (file: StackFile) => void;
  /** The checkout whose program runs. Default: this one. */
  checkout?: string;
  /** For example --refresh. */
  flags?: string[];
}

const onDev = ["--stack", "dev", "--non-interactive", "--color", "never"];
const unasked = ["--yes", "--skip-preview"];

/** Never throws: what failed is in the answer. */
export async function up(options: Options = {}): Promise<Run> {
  const { command = "up", change = () => {}, checkout = root, flags = [] } = options;
  await ensureLanguageHost();
  const folder = await mkdtemp(join(tmpdir(), "berth-up-"));
  try {
    const [config, log] = [join(folder, "Pulumi.dev.yaml"), join(folder, "events")];
    const file = parse(settingsOf("dev")) as StackFile;
    change(file);
    await writeFile(config, stringify(file));
    const what = [command, ...onDev, ...(command === "up" ? unasked : [])];
    const { failed, all } = await execa("pulumi", [...what, "--config-file", config, "--event-log", log, ...flags], {
      cwd: checkout,
      // Pulumi hides the log of its events unless it is asked for its debug commands.
      env: { ...stackEnvironment(), PULUMI_DEBUG_COMMANDS: "true" },
      reject: false,
      all: true,
    });
    return { failed, output: all, operations: operations(await readFile(log, "utf8").catch(() => "")) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The same, but throws what Pulumi wrote where it failed. */
export async function upOrThrow(options: Options = {}): Promise<Run> {
  const run = await up(options);
  if (run.failed) throw new Error(`\`pulumi ${options.command ?? "up"}\` failed:\n${run.output}`);
  return run;
}

/** Takes all of the stack away. The stack itself stays, and has nothing. */
export async function destroyOrThrow(): Promise<void> {
  await execa("pulumi", ["destroy", ...onDev, ...unasked], { cwd: root, env: stackEnvironment() });
}

/** Brings the stack up with a changed config, and in the clean-up, also after a failure, back to what its file says. */
export async function deploy(cleanUp: AsyncDisposableStack, options: Options): Promise<void> {
  cleanUp.defer(async () => void (await upOrThrow()));
  await upOrThrow(options);
}

interface EngineEvent {
  resOutputsEvent?: { metadata: { op: string; urn: string } };
}

/** Operations that change something, from the engine's events, one JSON object a line. */
function operations(log: string): string[] {
  return log
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => (JSON.parse(line) as EngineEvent).resOutputsEvent?.metadata ?? [])
    .filter(({ op }) => !["same", "read", "discard", "refresh"].includes(op))
    .map(({ op, urn }) => `${op} ${kindOf(urn)} ${nameOf(urn)}`)
    .sort();
}

/** `urn:pulumi:dev::berth::…$kubernetes:core/v1:Namespace::tenant-acme` → `Namespace` */
const kindOf = (urn: string) => (urn.split("::")[2] ?? "").split(":").at(-1);
const nameOf = (urn: string) => urn.split("::")[3];
