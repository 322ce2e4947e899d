import { once } from "node:events";
import { lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isStandIn, version } from "../pulumi/tools.ts";
import { builtVersion } from "./pulumi.ts";
import { layStandIns } from "./stand-ins.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-home-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const plugins = [
  { name: "random", version: "4.21.1", folder: "plugins/resource-random-v4.21.1" },
  { name: "docker", version: "5.2.0", folder: "plugins/resource-docker-v5.2.0" },
];

test("an official plugin goes before its stand-in, also one that came later", () => {
  const [home, official] = [join(folder, "home"), join(folder, "official")];
  expect(layStandIns(home, official, plugins)).toEqual(["random", "docker"]);
  mkdirSync(join(official, "plugins/resource-docker-v5.2.0"), { recursive: true });
  writeFileSync(join(official, "plugins/resource-docker-v5.2.0/pulumi-resource-docker"), "x".repeat(5000));
  expect(layStandIns(home, official, plugins)).toEqual(["random"]);
  expect(lstatSync(join(home, "plugins/resource-docker-v5.2.0")).isSymbolicLink()).toBe(true);
  expect(isStandIn(join(home, "plugins/resource-random-v4.21.1/pulumi-resource-random"))).toBe(true);
  expect(isStandIn(join(home, "plugins/resource-docker-v5.2.0/pulumi-resource-docker"))).toBe(false);
});

test("the launcher starts a plugin that tells its port", async () => {
  layStandIns(folder, "/nowhere", plugins);
  const plugin = execa(join(folder, "plugins/resource-random-v4.21.1/pulumi-resource-random"), ["127.0.0.1:1"]);
  plugin.catch(() => {});
  const [line] = (await once(plugin.stdout, "data")) as [Buffer];
  plugin.kill();
  expect(line.toString()).toMatch(/^\d+\n$/);
});

test("the command line that is built has the SDK's version", () => {
  expect(builtVersion()).toBe(version);
});
