/**
 * Checks the environments in the GitHub workflows, and runs the steps that scan images. In these runs, scripts replace the
 * programs that a step calls, and record the arguments. actionlint checks neither the environments nor the steps' results.
 */
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { root } from "../../machine/machine.ts";
import { optionsOf } from "../doctor/main.ts";

interface Workflow {
  on: string | string[] | Record<string, unknown>;
  jobs: Record<string, { environment?: string | { name: string } }>;
}

/** The environments that have reviewers, as docs/ci.md describes. */
const withReviewers = ["preview", "production"];
const workflows = globSync(".github/workflows/*.yml", { cwd: root }).map((file) => {
  const { on, jobs } = parse(readFileSync(join(root, file), "utf8")) as Workflow;
  const events = typeof on === "string" ? [on] : Array.isArray(on) ? on : Object.keys(on);
  const environments = Object.values(jobs).flatMap(({ environment = [] }) =>
    typeof environment === "string" ? [environment] : "name" in environment ? [environment.name] : [],
  );
  return { file, events, environments };
});
const scheduled = workflows.filter(({ events }) => events.includes("schedule"));

test("there are scheduled workflows, and workflows with reviewers", () => {
  expect(scheduled.length).toBeGreaterThanOrEqual(2);
  expect(workflows.flatMap(({ environments }) => environments).sort()).toEqual(["drift", ...withReviewers]);
});

test.each(scheduled)("$file runs by itself and waits for no reviewer", ({ environments }) => {
  expect(environments.filter((name) => withReviewers.includes(name))).toEqual([]);
});

test("docs/ci.md sets up every environment, and Pulumi Cloud trusts each", () => {
  const docs = readFileSync(join(root, "docs/ci.md"), "utf8");
  for (const name of new Set(workflows.flatMap(({ environments }) => environments))) {
    expect(docs).toContain(`:environment:${name}\``);
  }
});

const built = ["api", "agent"].map((name) => `ghcr.io/acme/berth/${name}@sha256:${"1".repeat(64)}`);
const others = ["postgres", "redis"].map((name) => `docker.io/library/${name}@sha256:${"2".repeat(64)}`);

/** A state with the images that were built, and with another resource. */
const state = {
  deployment: {
    resources: [
      { type: "random:index/randomId:RandomId", outputs: { hex: "0" } },
      ...built.map((repoDigest) => ({ type: "docker:index/image:Image", outputs: { repoDigest } })),
    ],
  },
};

/**
 * Makes a runner with scripts in place of programs: `pulumi` prints values of this state, and the others record their arguments.
 * @param bad trivy fails if its arguments contain this text
 * @param more further programs, by name, with the text of their shell scripts. Each program also records its arguments
 */
function openRunner(bad = "none", more: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "berth-runner-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const log = join(folder, "calls");
  const programs = {
    pulumi: `case "$*" in
      *export*) cat <<'END'\n${JSON.stringify(state)}\nEND\n;;
      *otherImages*) cat <<'END'\n${JSON.stringify(others)}\nEND\n;;
      *"output apiImage"*) echo ${built[0]} ;;
      *) echo ${built[1]} ;;
    esac`,
    trivy: `echo trivy "$@" >> ${log}; case "$*" in *"${bad}"*) exit 1 ;; esac`,
    syft: `echo syft "$@" >> ${log}`,
    cosign: `echo cosign "$@" >> ${log}`,
    ...Object.fromEntries(
      Object.entries(more).map(([name, script]) => [name, `echo ${name} "$@" >> ${log}; ${script}`]),
    ),
  };
  for (const [name, script] of Object.entries(programs))
    writeFileSync(join(folder, name), `#!/bin/sh\n${script.replaceAll("\\n", "\n")}\n`, { mode: 0o755 });
  return {
    async run({ run = "", shell }: WorkflowStep, variables: Record<string, string> = {}) {
      const output = join(folder, "output");
      writeFileSync(output, "");
      const env = { PATH: `${folder}:${process.env.PATH}`, STACK: "prod", GITHUB_OUTPUT: output, ...variables };
      const strict = shell === "bash" ? ["-eo", "pipefail"] : ["-e"];
      const { exitCode } = await execa("bash", [...strict, "-c", run], { cwd: root, env, reject: false });
      return { exitCode, output: readFileSync(output, "utf8") };
    },
    /** The recorded calls of this program whose arguments contain `image`. */
    calls: (program: string, image: string) =>
      existsSync(log)
        ? readFileSync(log, "utf8")
            .split("\n")
            .filter((line) => line.startsWith(program) && line.includes(image))
        : [],
  };
}

interface WorkflowStep {
  name?: string;
  id?: string;
  if?: string;
  run?: string;
  shell?: string;
}

/** The step whose name begins with this text. */
function stepOf(file: string, job: string, name: string): WorkflowStep & { index: number } {
  const { jobs } = parse(readFileSync(join(root, `.github/workflows/${file}.yml`), "utf8"));
  const steps: WorkflowStep[] = jobs[job].steps;
  const index = steps.findIndex((step) => step.name?.startsWith(name));
  return { ...(steps[index] ?? expect.fail(`no step ${name}`)), index };
}

test("the Deploy workflow scans and signs every image that it has built, before the deployment", async () => {
  const found = stepOf("deploy", "deploy", "Digests of the images that were built");
  const scan = stepOf("deploy", "deploy", "Scan, package lists and signatures");
  expect(scan.if).toContain(`steps.${found.id}.outputs.built`);
  expect(scan.index).toBeLessThan(stepOf("deploy", "deploy", "Deployment").index);
  const runner = openRunner();
  const { output } = await runner.run(found);
  const [, list = ""] = /^built=(.*)$/m.exec(output) ?? [];
  expect(list.split(" ")).toEqual(built);
  expect(await runner.run(scan, { BUILT: list })).toMatchObject({ exitCode: 0 });
  for (const image of built)
    for (const program of ["trivy", "syft", "cosign"]) expect(runner.calls(program, image), program).not.toEqual([]);
});

test("an image with a CVE that must be removed is not signed, and the other images are scanned too", async () => {
  const runner = openRunner("--exit-code 1 ghcr.io/acme/berth/api@");
  const scan = stepOf("deploy", "deploy", "Scan, package lists and signatures");
  expect((await runner.run(scan, { BUILT: built.join(" ") })).exitCode).not.toBe(0);
  expect(runner.calls("trivy", built[1] ?? "")).not.toEqual([]);
  expect(runner.calls("cosign", "")).toEqual([]);
});

test("the Updates workflow writes the epoch into the files of all stacks, and fails if none builds the image", async () => {
  const packages = stepOf("updates", "images", "Debian packages");
  const runner = openRunner("none", { node: "exit 1" });
  expect((await runner.run(packages)).exitCode).not.toBe(0);
  const files = globSync("Pulumi.*.yaml", { cwd: root }).sort().join(" ");
  expect(files).toContain("Pulumi.prod.yaml");
  expect(runner.calls("node", "epoch")).toEqual([
    expect.stringMatching(new RegExp(`^node tools/epoch\\.ts \\d{4}-W\\d\\d ${files}$`)),
  ]);
  const result = stepOf("updates", "images", "Result of the step Debian packages");
  expect(result.if).toBe(`steps.${packages.id}.outcome == 'failure'`);
  expect(result.index).toBeGreaterThan(stepOf("updates", "images", "Pull request").index);
  expect((await runner.run(result)).exitCode).not.toBe(0);
});

test("the Deploy workflow runs the doctor after the deployment, and fails if the doctor finds a fault", async () => {
  const doctor = stepOf("deploy", "deploy", "Doctor");
  expect(doctor.index).toBe(stepOf("deploy", "deploy", "Deployment").index + 1);
  const [good, bad] = [openRunner("none", { node: "exit 0" }), openRunner("none", { node: "exit 1" })];
  expect((await good.run(doctor)).exitCode).toBe(0);
  expect((await bad.run(doctor)).exitCode).not.toBe(0);
  const [call = ""] = good.calls("node", "doctor");
  const [, script = "", ...args] = call.split(" ");
  expect(existsSync(join(root, script)), script).toBe(true);
  expect(optionsOf(args)).toEqual({ stack: "prod", asJson: true, onlyLook: false });
  // The scan of the images that now run must not depend on the doctor's result.
  const scan = stepOf("deploy", "deploy", "Scan of all other images");
  expect(scan.if).toContain("!cancelled() && steps.up.outcome == 'success'");
});

test.each(["deploy", "drift"])("the workflow %s scans all other images that the stack's output names", async (file) => {
  const step = stepOf(file, file, "Scan of all other images that run");
  const [good, bad] = [openRunner(), openRunner("CRITICAL --ignore-unfixed --exit-code 1 docker.io/library/postgres@")];
  expect(await good.run(step)).toMatchObject({ exitCode: 0 });
  expect((await bad.run(step)).exitCode).not.toBe(0);
  for (const image of others) for (const { calls } of [good, bad]) expect(calls("trivy", image)).toHaveLength(2);
});

test("the Drift workflow scans Berth's own images that run", async () => {
  const step = stepOf("drift", "drift", "Scan of Berth's images");
  const [good, bad] = [openRunner(), openRunner("HIGH,CRITICAL --ignore-unfixed --exit-code 1")];
  expect(await good.run(step)).toMatchObject({ exitCode: 0 });
  for (const image of built) expect(good.calls("trivy", image)).not.toEqual([]);
  expect((await bad.run(step)).exitCode).not.toBe(0);
});
