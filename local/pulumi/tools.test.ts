/** Tests a checkout without the folder local/air-gapped. Users who have a mirror need no such folder. */
import { createHash } from "node:crypto";
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { root } from "../../machine/machine.ts";
import { architecture } from "../lib/obtain.ts";
import { plugins, version } from "./tools.ts";

let folder: string;
let checkout: string;
let mirror: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-checkout-"));
  [checkout, mirror] = [join(folder, "checkout"), join(folder, "mirror")];
  mkdirSync(join(checkout, "infra/images/base-images"), { recursive: true });
  mkdirSync(mirror);
  cpSync(join(root, "local"), join(checkout, "local"), {
    recursive: true,
    filter: (source) => source !== join(root, "local/air-gapped"),
  });
  cpSync(join(root, "machine"), join(checkout, "machine"), { recursive: true });
  for (const file of ["package.json", "images/base-images/base-images.json"])
    cpSync(join(root, "infra", file), join(checkout, "infra", file));
  cpSync(join(root, "package.json"), join(checkout, "package.json"));
  symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Puts an archive of one program into the mirror. */
async function put(archive: string, program: string, inside = "."): Promise<void> {
  const content = join(folder, "content");
  mkdirSync(join(content, inside), { recursive: true });
  writeFileSync(join(content, inside, program), `${program}\n`);
  await execa("tar", ["-czf", join(mirror, archive), "-C", content, inside === "." ? program : inside]);
  rmSync(content, { recursive: true });
  const sum = createHash("sha256")
    .update(readFileSync(join(mirror, archive)))
    .digest("hex");
  writeFileSync(join(mirror, "SHA256SUMS"), `${sum}  ${archive}\n`, { flag: "a" });
}

const run = (script: string) =>
  execa("node", ["--input-type=module", "--eval", script], {
    cwd: checkout,
    env: {
      BERTH_CACHE: join(folder, "cache"),
      BERTH_MIRROR: mirror,
      BERTH_MIRROR_TRUSTED: "1",
      PULUMI_HOME: join(folder, "none"),
      PATH: `${join(root, "node_modules/.bin")}:/usr/bin:/bin`,
    },
    extendEnv: false,
    reject: false,
    all: true,
  });
const obtain = 'console.log(await (await import("./local/pulumi/tools.ts")).obtainPulumi())';

test("the command is whole without what serves where there is no internet", async () => {
  const { all } = await run('process.argv.push("main", "nothing"); await import("./local/main.ts")');
  expect(all).toContain("npm run init -- --context NAME");
});

test("Pulumi and its plugins come from a mirror", async () => {
  await put(`pulumi-v${version}-linux-${architecture.replace("amd64", "x64")}.tar.gz`, "pulumi", "pulumi");
  for (const { name, version } of plugins)
    await put(`pulumi-resource-${name}-v${version}-linux-${architecture}.tar.gz`, `pulumi-resource-${name}`);
  const { all } = await run(obtain);
  expect(all).toMatch(new RegExp(`^${version}, installed$`, "m"));
  expect(all?.match(/not official/g)).toHaveLength(4);
  const pulumi = join(folder, "cache", `pulumi-${version}`);
  expect(readFileSync(join(pulumi, "bin/pulumi"), "utf8")).toBe("pulumi\n");
  for (const { name, folder } of plugins)
    expect(readFileSync(join(pulumi, folder, `pulumi-resource-${name}`), "utf8")).toBe(`pulumi-resource-${name}\n`);
});

test("where a plugin is in no mirror, the error says what to do", async () => {
  await put(`pulumi-v${version}-linux-${architecture.replace("amd64", "x64")}.tar.gz`, "pulumi", "pulumi");
  const { all, exitCode } = await run(obtain);
  expect(exitCode).toBe(1);
  expect(all).toContain(
    "one of Pulumi's plugins can't be downloaded, and this checkout lacks local/air-gapped, which could replace it: " +
      "name a mirror in BERTH_MIRROR",
  );
});

test("the language host is built only for whom runs pulumi by hand", async () => {
  cpSync(join(root, "local/air-gapped"), join(checkout, "local/air-gapped"), { recursive: true });
  const bin = join(folder, "bin");
  mkdirSync(bin);
  const go = 'while [ "$1" != -o ]; do shift; done; touch "$2$(basename "$3")"';
  writeFileSync(join(bin, "go"), `#!/bin/sh\n${go}\n`, { mode: 0o755 });
  const built = () => globSync("pulumi-*/*/pulumi*", { cwd: join(folder, "cache") }).map((file) => basename(file));
  const prepared = `process.env.PATH = "${bin}:" + process.env.PATH; const tools = await import("./local/pulumi/tools.ts");`;
  await run(`${prepared} await tools.buildCli()`);
  expect(built()).toEqual(["pulumi"]);
  const { all } = await run(`${prepared} (await import("./local/commands/env.ts")).printEnvironment()`);
  expect(built().sort()).toEqual(["pulumi", "pulumi-language-nodejs"]);
  expect(all).toMatch(/^export .*PATH='[^']*\/language-host:/m);
});

test("stand-ins are put outside of the checkout, which may be a user's", async () => {
  cpSync(join(root, "local/air-gapped"), join(checkout, "local/air-gapped"), { recursive: true });
  await put(`pulumi-v${version}-linux-${architecture.replace("amd64", "x64")}.tar.gz`, "pulumi", "pulumi");
  const { all } = await run(`${obtain}; console.log((await import("./local/pulumi/tools.ts")).pulumiHome())`);
  expect(all).toContain("Berth's stand-ins serve for the plugins kubernetes, random, docker");
  expect(all).toMatch(new RegExp(`^${folder}/cache/pulumi-${version}-[0-9a-f]{12}$`, "m"));
});
