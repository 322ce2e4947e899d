import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { init, wantedOf } from "./init.ts";
import { kind } from "./testing.ts";

function folderOf(): string {
  const folder = mkdtempSync(join(tmpdir(), "berth-init-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("init writes one file, names the next commands, and overwrites nothing", async () => {
  const folder = folderOf();
  const wanted = wantedOf(["--context", "kind-berth"]);
  const said = await init(wanted, async () => kind, folder);
  expect(readdirSync(folder)).toEqual(["Pulumi.kind-berth.yaml"]);
  expect(said).toMatch(
    /^Wrote Pulumi\.kind-berth\.yaml\.\n[\s\S]*pulumi stack init kind-berth\n[\s\S]*pulumi up -s kind-berth/,
  );
  const written = readFileSync(join(folder, "Pulumi.kind-berth.yaml"), "utf8");
  await expect(init(wanted, async () => ({ ...kind, id: "other" }), folder)).rejects.toThrow(
    "Pulumi.kind-berth.yaml exists already, and init overwrites no file. Name another stack: --stack NAME",
  );
  expect(readFileSync(join(folder, "Pulumi.kind-berth.yaml"), "utf8")).toBe(written);
});

test("a cluster that doesn't answer leaves no file, and the error names the context", async () => {
  const folder = folderOf();
  const look = () => Promise.reject(new Error("request failed", { cause: new Error("connect ECONNREFUSED") }));
  await expect(init(wantedOf(["--context", "gone"]), look, folder)).rejects.toThrow(
    "the cluster of the context gone can't be read: connect ECONNREFUSED",
  );
  expect(readdirSync(folder)).toEqual([]);
});

test.each([
  [[], /^name the kubeconfig context of the cluster\.\nnpm run init/],
  [["--context", "a", "--stack", "../a"], /^--stack \.\.\/a: a stack's name has only letters/],
  [["--contxt", "a"], /^Unknown option '--contxt'/],
])("the arguments %j are refused with what to write", (args, message) => {
  expect(() => wantedOf(args)).toThrow(message);
});
