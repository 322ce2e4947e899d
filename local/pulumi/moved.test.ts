import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { root } from "../../machine/machine.ts";
import { forMachine } from "./moved.ts";

const settings = readFileSync(join(root, "Pulumi.dev.yaml"), "utf8");

const usual = {
  registry: "127.0.0.1:5000",
  apiNodePort: 30080,
  sandboxNodePort: 30090,
  nodeIp: "10.200.0.1",
  architecture: "amd64",
};

it("leaves the settings as they are where nothing was moved", () => {
  expect(forMachine(settings, usual)).toBe(settings);
});

it("puts the addresses of this machine in place of the usual ones", () => {
  const moved = forMachine(settings, {
    ...usual,
    registry: "127.0.0.1:5001",
    apiNodePort: 30090,
    sandboxNodePort: 30080,
    nodeIp: "10.9.0.1",
  });
  expect(moved).not.toMatch(/10\.200|5000/);
  expect(moved).toContain("publicUrl: http://127.0.0.1:30090");
  expect(moved).toContain("nodePort: 30090");
  expect(moved).toContain("sandboxUrl: http://*.localhost:30080");
  expect(moved).toContain("sandboxNodePort: 30080");
  expect(moved).toContain("registry: 127.0.0.1:5001/berth");
  expect(moved).toContain("nodes: [10.9.0.1/32]");
  expect(moved).toContain("{ cidr: 10.9.0.1/32, port: 6443 }");
});

it("builds the images for the machine's processor", () => {
  expect(parse(forMachine(settings, { ...usual, architecture: "arm64" }))).toEqual({
    ...parse(settings),
    config: { ...parse(settings).config, "berth:platform": "linux/arm64" },
  });
});
