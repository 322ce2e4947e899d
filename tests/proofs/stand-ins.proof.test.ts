/**
 * If a machine reaches only package registries, Berth builds Pulumi from Go modules and replaces Pulumi's plugins with
 * stand-ins. A stack that the official plugins created can be continued with stand-ins, and the other way round.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EngineEvent, Stack } from "@pulumi/pulumi/automation/index.js";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { buildPulumi, builtVersion } from "../../local/air-gapped/pulumi.ts";
import { layStandIns } from "../../local/air-gapped/stand-ins.ts";
import { nameAlso, pushImage } from "../../local/images/registry.ts";
import { buildOnce } from "../../local/lib/go.ts";
import { mirror } from "../../local/lib/obtain.ts";
import { stackEnvironment } from "../../local/pulumi/stack.ts";
import { plugins, pulumiHome, pulumiRoot, version } from "../../local/pulumi/tools.ts";
import { machine, root } from "../../machine/machine.ts";
import { openOwnStack, type Tools } from "../../tools/manifests/throw-away.ts";
import { core } from "../berth.ts";
import { buildContext, type SmallStack, smallStack } from "./small-stack.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-registries-"));
/**
 * The folder of the built CLI. On a machine that can download the official CLI, `npm run up` builds none, so the test builds
 * the CLI.
 */
const builtPulumi = join(machine.binDir, `pulumi-${builtVersion()}`);
const standIns: Tools = { root: builtPulumi, home: join(folder, "home") };
/**
 * The official plugins: those of the given mirror, or else those that the last `npm run up` found. Undefined if there are
 * none.
 */
const official: Tools | undefined =
  mirror() !== undefined
    ? { root: join(folder, `pulumi-${version}`), home: join(folder, `pulumi-${version}`) }
    : pulumiHome() === pulumiRoot
      ? { root: pulumiRoot, home: pulumiRoot }
      : undefined;
const why =
  "no official plugins are on this machine; BERTH_MIRROR can name a mirror that has them, with BERTH_MIRROR_TRUSTED=1 (docs/air-gapped.md)";

beforeAll(async () => {
  if (official === undefined) console.log(`stand-ins are not compared with official plugins: ${why}`);
  await buildOnce(builtPulumi, (dir) => buildPulumi(join(dir, "bin")));
  layStandIns(standIns.home, "", plugins);
  if (mirror() !== undefined) await obtainMirrored();
}, 1_800_000);
afterAll(() => rmSync(folder, { recursive: true }));

/** Puts the mirror's programs into `folder`, which is the cache of a separate process that knows no installed Pulumi. */
async function obtainMirrored(): Promise<void> {
  const script = `
    const { obtainPulumi, pulumiHome, pulumiRoot } = await import("./local/pulumi/tools.ts");
    await obtainPulumi();
    if (pulumiHome() !== pulumiRoot) throw new Error("the mirror lacks a plugin (docs/air-gapped.md)");`;
  const env = { BERTH_CACHE: folder, PULUMI_HOME: join(folder, "none"), PATH: "/usr/bin:/bin" };
  await execa(process.execPath, ["--input-type=module", "--eval", script], { cwd: root, env });
}

const pairs = [
  { first: "stand-ins", makes: standIns, second: "stand-ins", continues: standIns },
  { first: "the official plugins", makes: official, second: "stand-ins", continues: standIns },
  { first: "stand-ins", makes: standIns, second: "the official plugins", continues: official },
];

describe.each(pairs)("a stack made with $first and continued with $second", ({ makes, continues }) => {
  beforeEach(({ skip }) => skip(makes === undefined || continues === undefined, why));
  const namespace = `try-plugins-${randomBytes(3).toString("hex")}`;
  const context = buildContext();
  let stack: SmallStack = { namespace, content: "one", pods: "one", unnamed: true, context };
  const backend = mkdtempSync(join(folder, "state-"));
  const open = (tools = standIns) =>
    openOwnStack({ name: "try", project: "berth-try", program: () => smallStack(stack), backend, tools });

  afterAll(async () => {
    rmSync(context, { recursive: true });
    await core.deleteNamespace({ name: namespace }).catch(() => {});
  });

  test("is created, and a second preview changes nothing", async () => {
    const { outputs, operations } = await up(await open(makes));
    expect(operations.filter((each) => !each.startsWith("create "))).toEqual([]);
    expect(outputs.password).toMatchObject({ secret: true, value: expect.stringMatching(/^[A-Za-z0-9]{20}$/) });
    expect(outputs.image?.value).toMatch(/^127\.0\.0\.1:5000\/berth\/try-plugins@sha256:/);
    expect(outputs.apiServer?.value).toMatch(/^[0-9.]+$/);
    const secret = await core.readNamespacedSecret({ name: "secret", namespace });
    expect(Buffer.from(secret.data?.password ?? "", "base64").toString()).toBe(outputs.password?.value);
    expect(await changes(await open(continues))).toEqual([]);
  });

  test("is changed in place where possible, with the same result by both", async () => {
    stack = { ...stack, content: "two", unnamed: false };
    const foreseen = await changes(await open(makes));
    expect(foreseen.filter((each) => each.includes("replace"))).toEqual(["replace Job job"]);
    expect(foreseen).toContain("delete ConfigMap unnamed");
    expect(await changes(await open(continues))).toEqual(foreseen);
    await up(await open(continues));
    expect(await core.readNamespacedConfigMap({ name: "settings", namespace })).toMatchObject({
      data: { content: "two" },
    });
    expect(await changes(await open(makes))).toEqual([]);
  });

  test("is replaced where it can't be changed in place", async () => {
    stack = { ...stack, pods: "two" };
    const foreseen = await changes(await open(makes));
    for (const replaced of ["Deployment deployment", "ConfigMap fixed", "RandomPassword password", "RandomId id"])
      expect(foreseen).toContain(`replace ${replaced}`);
    expect(await changes(await open(continues))).toEqual(foreseen);
    await up(await open(continues));
    expect(await core.readNamespacedConfigMap({ name: "fixed", namespace })).toMatchObject({ data: { pods: "two" } });
    expect(await changes(await open(makes))).toEqual([]);
  });

  test("is destroyed with all its objects", async () => {
    await (await open(continues)).destroy({ color: "never" });
    const { items } = await core.listNamespace({ fieldSelector: `metadata.name=${namespace}` });
    expect(items).toEqual([]);
  });
});

test.for([
  { name: "stand-ins", tools: standIns, lines: 1 },
  { name: "official plugins", tools: official, lines: 0 },
])(
  "the stack dev needs no change with $name: at once, after a refresh, and after the tags of its images have moved",
  async ({ tools, lines }, { skip }) => {
    if (tools === undefined) return skip(why);
    const shell = stackEnvironment();
    const env = { ...shell, PULUMI_HOME: tools.home, PATH: `${join(tools.root, "bin")}:${shell.PATH}` };
    const needsNoChange = async (...flags: string[]) => {
      const args = ["preview", "--stack=dev", "--non-interactive", "--color=never", "--expect-no-changes", ...flags];
      const { failed, all } = await execa("pulumi", args, { env, reject: false, all: true });
      expect({ failed, all }).toMatchObject({ failed: false });
      // Only diagnostics count, because Pulumi repeats each message in its progress output, after the name of the resource.
      expect(all.match(/^ +Berth's stand-ins serve/gm) ?? []).toHaveLength(lines);
    };
    await needsNoChange();
    await needsNoChange("--refresh");
    await using cleanUp = new AsyncDisposableStack();
    for (const name of await builtImages(env)) {
      await nameAlso(name, `${name}-kept`);
      cleanUp.defer(() => nameAlso(`${name}-kept`, name));
      await pushImage(name, randomBytes(16), {});
    }
    await needsNoChange("--refresh");
  },
);

/** The names and tags of the images that the stack dev has built, for example `berth/api:1a2b-3c4d`. */
async function builtImages(env: Record<string, string>): Promise<string[]> {
  const { stdout } = await execa("pulumi", ["stack", "export", "--stack=dev"], { env });
  const { resources } = (JSON.parse(stdout) as Exported).deployment;
  const names = resources
    .filter(({ type }) => type === "docker:index/image:Image")
    .map(({ outputs }) => String(outputs?.imageName).replace(`${machine.registry}/`, ""));
  expect(names).toHaveLength(3);
  return names;
}

interface Exported {
  deployment: { resources: { type: string; outputs?: Record<string, unknown> }[] };
}

async function up(stack: Stack) {
  const operations: string[] = [];
  const { outputs } = await stack.up({ color: "never", refresh: true, onEvent: recorder(operations) });
  return { outputs, operations };
}

/** Returns the operations of an `up` after a refresh, for example `replace Job job`, sorted. */
async function changes(stack: Stack): Promise<string[]> {
  const operations: string[] = [];
  await stack.preview({ color: "never", refresh: true, onEvent: recorder(operations) });
  return operations.sort();
}

/** A replacement causes three events, and only one of them counts. */
const recorder = (operations: string[]) => (event: EngineEvent) => {
  const { op = "", urn = "" } = event.resourcePreEvent?.metadata ?? {};
  if (!["create", "update", "delete", "replace"].includes(op)) return;
  const [type, name] = urn.split("::").slice(2);
  operations.push(`${op} ${type?.split(":").at(-1)} ${name}`);
};
