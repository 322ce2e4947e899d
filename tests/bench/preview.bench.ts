/**
 * Compares `pulumi preview` of an unchanged stack with 100 tenants with a bare loop that declares the same resources. Both
 * stacks are deployed to the local cluster and manage the same objects, in namespaces that only this benchmark uses. The
 * namespaces are deleted afterwards.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { stackEnvironment } from "../../local/pulumi/stack.ts";
import { ensureLanguageHost } from "../../local/pulumi/tools.ts";
import { machine } from "../../machine/machine.ts";
import { median, report } from "./report.ts";
import type { Plain } from "./tenants/loop.ts";

const { context } = machine;

const names = Array.from({ length: 100 }, (_, index) => `bench-${index}`);
const rounds = 3;

const project = join(import.meta.dirname, "tenants");
const work = mkdtempSync(join(tmpdir(), "berth-bench-"));
const env = {
  ...stackEnvironment(),
  PULUMI_BACKEND_URL: `file://${work}`,
  // With these two settings, Pulumi does not write a state of megabytes after each of some thousand resources. This does not
  // change the result, because only previews are measured.
  PULUMI_EXPERIMENTAL: "true",
  PULUMI_SKIP_CHECKPOINTS: "true",
};
const pulumi = (stack: string, ...args: string[]) =>
  execa("pulumi", [...args, "--stack", stack, "--non-interactive"], {
    cwd: project,
    env,
  });

await ensureLanguageHost();

async function up(stack: string, config: Record<string, string>): Promise<void> {
  await pulumi(stack, "stack", "init");
  const file = join(work, `${stack}.yaml`);
  writeFileSync(file, JSON.stringify({ config }));
  const start = performance.now();
  await pulumi(stack, "up", "--yes", "--skip-preview", "--config-file", file);
  console.error(`  up of ${stack}: ${((performance.now() - start) / 1000).toFixed(0)} s`);
}

interface StateResource {
  type: string;
  urn: string;
  custom: boolean;
  external?: boolean;
  protect?: boolean;
  inputs: Record<string, unknown>;
}

/** Removes the keys that Pulumi adds to the inputs of a program. The added keys begin with `__`. */
const withoutNotes = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (key, inner) => (key.startsWith("__") ? undefined : inner));

async function preview(stack: string): Promise<number> {
  const start = performance.now();
  const file = join(work, `${stack}.yaml`);
  await pulumi(stack, "preview", "--expect-no-changes", "--suppress-progress", "--config-file", file);
  return performance.now() - start;
}

try {
  await up("components", { "berth-bench:context": context, "berth-bench:tenants": JSON.stringify(names) });
  const { stdout: state } = await pulumi("components", "stack", "export");
  const all: StateResource[] = JSON.parse(state).deployment.resources;
  const made = all.filter(({ type, custom, external }) => custom && !external && !type.startsWith("pulumi:"));
  const plain = made.map(({ type, urn, inputs, protect = false }) => ({
    type,
    name: urn.split("::").at(-1),
    inputs: withoutNotes(inputs),
    protect,
  })) as Plain[];
  writeFileSync(join(work, "resources.json"), JSON.stringify(plain));
  await up("loop", { "berth-bench:context": context, "berth-bench:resources": join(work, "resources.json") });

  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // Each round measures both variants, because the load of other work on the machine changes.
    const [loop, components] = [await preview("loop"), await preview("components")];
    console.error(`  loop ${(loop / 1000).toFixed(1)} s, components ${(components / 1000).toFixed(1)} s`);
    ratios.push(components / loop);
  }
  report("preview-100-tenants", median(ratios), "<=1.2");
  report("resources-per-tenant", all.length / names.length, "-");
  report("state-per-tenant-kib", Buffer.byteLength(state) / 1024 / names.length, "-");
} finally {
  const namespaces = names.map((name) => `tenant-${name}`);
  await kubectl(["delete", "namespace", "--ignore-not-found", "--timeout=600s", ...namespaces]);
  rmSync(work, { recursive: true, force: true });
  // `pulumi stack init` has written these files.
  for (const stack of ["components", "loop"]) rmSync(join(project, `Pulumi.${stack}.yaml`), { force: true });
}
