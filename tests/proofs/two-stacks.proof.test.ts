/**
 * A second stack beside the stack `dev`: `npm run init` chooses the names of the second stack, the doctor finds no fault in
 * it, and after `pulumi destroy` nothing of it is left.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseDocument } from "yaml";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { stackEnvironment } from "../../local/pulumi/stack.ts";
import { ensureLanguageHost } from "../../local/pulumi/tools.ts";
import { machine } from "../../machine/machine.ts";
import { until } from "../../testing/until.ts";
import { copyOfCheckout } from "../checkout.ts";

const { context, registry } = machine;
const name = "beside";

let checkout: string;

beforeAll(async () => {
  await ensureLanguageHost();
  checkout = await copyOfCheckout();
});

/** Runs a command in the checkout, as a user does. The exit code must be 0. Returns the output of the command. */
async function runs(...[program, ...args]: [string, ...string[]]): Promise<string> {
  const { exitCode, all, stdout } = await execa(program, args, {
    cwd: checkout,
    env: stackEnvironment(),
    reject: false,
    all: true,
  });
  expect(exitCode, all.slice(-4_000)).toBe(0);
  return stdout;
}

const pulumi = (command: string) =>
  runs("pulumi", command, "--stack", name, "--yes", "--skip-preview", "--non-interactive");

/** Changes the stack's file, as a user does with an editor. */
function edit(...changes: [path: (string | number)[], value: unknown][]): void {
  const path = join(checkout, `Pulumi.${name}.yaml`);
  const file = parseDocument(readFileSync(path, "utf8"));
  for (const [where, value] of changes) file.setIn(["config", ...where], value);
  writeFileSync(path, file.toString());
}

/** All kinds of objects that Berth creates outside of namespaces. */
const kinds = [
  "namespaces",
  "clusterroles",
  "clusterrolebindings",
  "priorityclasses",
  "validatingadmissionpolicies",
  "validatingadmissionpolicybindings",
  "apiservices",
].join(",");

/**
 * Returns what there is of the second stack: the objects outside of namespaces that have the stack's label or its name, the
 * Roles and RoleBindings in other namespaces, and the volumes of claims in its namespaces. The names of APIServices and volumes
 * do not contain the stack's name.
 */
async function traces(): Promise<string> {
  const volume = "persistentvolume/{.metadata.name} of {.spec.claimRef.namespace}";
  const [labelled, ...others] = await Promise.all([
    kubectl(["get", kinds, `--selector=app.kubernetes.io/instance=${name}`, "--output=name"]),
    kubectl(["get", kinds, "--output=name"]),
    kubectl(["get", "roles,rolebindings", "--all-namespaces", "--output=name"]),
    kubectl(["get", "persistentvolumes", `--output=jsonpath={range .items[*]}${volume}{"\\n"}{end}`]),
  ]);
  const named = others.flatMap((lines) => lines.split("\n").filter((line) => line.includes(name)));
  return [...new Set([...labelled.split("\n"), ...named])].filter((line) => line !== "").join("\n");
}

afterAll(async () => {
  await pulumi("destroy").catch(() => {}); // only after a failed test does the stack still have resources
  await execa("pulumi", ["stack", "rm", name, "--yes"], { cwd: checkout, env: stackEnvironment(), reject: false });
  rmSync(checkout, { recursive: true, force: true });
});

test("init names a stack beside another one, which starts, holds the doctor's promises, and is destroyed completely", async () => {
  expect(await traces()).toBe("");
  await runs(
    "node",
    "tools/cluster/init.ts",
    "--context",
    context,
    "--stack",
    name,
    "--registry",
    `${registry}/${name}`,
  );
  edit(
    [["berth:baseRegistry"], registry],
    [["berth:buildNetwork"], "host"],
    // The stack `dev` already uses the ports of this machine.
    [["berth:publicUrl"], "http://127.0.0.1:30180"],
  );
  await runs("pulumi", "stack", "init", name);
  await pulumi("up");
  const doctor = JSON.parse(await runs("node", "tools/doctor/main.ts", "--stack", name, "-o", "json"));
  expect(doctor.checks.filter(({ state }: { state: string }) => state === "failed")).toEqual([]);
  expect(doctor.checks.find((check: { name: string }) => check.name === "session")).toMatchObject({ state: "ok" });
  const made = await traces();
  for (const each of [/^namespace\/berth-beside-+acme$/m, /^validatingadmissionpolicybinding/m, /^persistentvolume\//m])
    expect(made).toMatch(each);

  // README describes these steps.
  edit([["berth:tenants", 0, "remove"], true], [["berth:protectData"], false]);
  await pulumi("up");
  await pulumi("destroy");
  // The provisioner deletes a volume some seconds after its claim.
  await until(`nothing of ${name} is left`, 120, traces, (left) => left === "");
  await runs("node", "tools/doctor/main.ts", "--stack", "dev", "--look");
});
