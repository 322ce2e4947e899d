/** Checks the cluster's settings. node.cluster.test.ts checks the running node. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it, onTestFinished } from "vitest";
import { machine, root } from "../../machine/machine.ts";
import { addonManifests } from "./addons.ts";
import { components, etcdEnvironment } from "./components.ts";
import { configFiles } from "./configs.ts";
import { certificates } from "./pki.ts";
import { claimStateDir, removeState } from "./state.ts";
import { fill, filledYaml } from "./templates.ts";

const { network } = machine;

const configs = configFiles();

describe("the cluster's daemons", () => {
  it("restart when a file changes that they read at their start", () => {
    for (const { args, files: watched = [], name } of components) {
      const read = args.map((arg) => arg.replace(/^--[\w-]+=/, "")).filter((arg) => arg in configs);
      expect(watched, name).toEqual(expect.arrayContaining(read));
    }
  });

  it("start on arm64, which is new to Debian 12's etcd", () => {
    expect(etcdEnvironment("arm64")).toEqual({ env: { ETCD_UNSUPPORTED_ARCH: "arm64" } });
    expect(etcdEnvironment("amd64")).toEqual({});
  });

  it("have certificates of the authority that their peers trust", () => {
    const ca = Object.fromEntries(certificates.map(({ name, ca }) => [name, ca]));
    expect(ca).toMatchObject({
      etcd: "etcd-ca",
      "apiserver-etcd": "etcd-ca",
      "front-proxy": "front-proxy-ca",
      admin: "ca",
    });
  });
});

describe("templates", () => {
  it("have all their values filled in", () => {
    for (const text of [addonManifests(), ...Object.values(configs)]) expect(text).not.toContain("$" + "{");
    expect(addonManifests()).toMatch(/image: 127\.0\.0\.1:5000\/berth-local\/coredns:[0-9a-f]{12}/);
  });

  it("name a value that is missing", () => {
    expect(() => fill("a: $" + "{B}")).toThrow("B");
  });

  it("may have any value in YAML", () => {
    expect(filledYaml("a: $" + "{b}/c", { b: "/d: e #f" })).toEqual({ a: "/d: e #f/c" });
  });
});

describe("the state directory", () => {
  const folder = () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-state-"));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    return dir;
  };

  it("is taken where it is empty, and is Berth's afterwards", () => {
    const dir = folder();
    claimStateDir(dir);
    mkdirSync(join(dir, "etcd"));
    claimStateDir(dir);
    expect(readdirSync(dir).sort()).toEqual(["README", "etcd"]);
  });

  it("is refused where it holds what is not Berth's, which stays as it is", () => {
    const dir = folder();
    for (const [name, content] of [
      ["thesis.txt", ""],
      ["README", "My thesis"],
    ] as const) {
      writeFileSync(join(dir, name), content);
      expect(() => claimStateDir(dir)).toThrow(/holds files that aren't Berth's: set BERTH_STATE/);
      expect(() => removeState(dir)).toThrow(/left as it is/);
    }
    expect(readFileSync(join(dir, "README"), "utf8")).toBe("My thesis");
    expect(readdirSync(dir).sort()).toEqual(["README", "thesis.txt"]);
  });

  it("is taken where a start was killed while it wrote the ownership file", () => {
    const dir = folder();
    writeFileSync(join(dir, "README"), "");
    claimStateDir(dir);
    expect(readFileSync(join(dir, "README"), "utf8")).toContain(network);
  });

  it("of which a purge was killed is emptied before it is used again", async () => {
    const dir = folder();
    claimStateDir(dir);
    for (const name of ["etcd", "pulumi", "registry"]) mkdirSync(join(dir, name));
    const purge = `
      import fs from "node:fs";
      import { syncBuiltinESMExports } from "node:module";
      const { rmSync } = fs;
      fs.rmSync = (path, options) => {
        rmSync(path, options);
        if (path.endsWith("/etcd")) process.kill(process.pid, "SIGKILL");
      };
      syncBuiltinESMExports();
      (await import("./local/cluster/state.ts")).removeState(${JSON.stringify(dir)});`;
    const options = { cwd: root, reject: false } as const;
    expect((await execa("node", ["--input-type=module", "--eval", purge], options)).signal).toBe("SIGKILL");
    expect(readdirSync(dir)).toContain("registry");
    expect(readdirSync(dir)).not.toContain("pulumi");
    claimStateDir(dir);
    expect(readdirSync(dir)).toEqual(["README"]);
    expect(readFileSync(join(dir, "README"), "utf8")).not.toContain("removal");
  });

  it("is refused where its cluster has other addresses", () => {
    const dir = folder();
    claimStateDir(dir);
    mkdirSync(join(dir, "etcd"));
    const ownershipFile = join(dir, "README");
    writeFileSync(ownershipFile, readFileSync(ownershipFile, "utf8").replace(network, "10.9.0.0/16"));
    expect(() => claimStateDir(dir)).toThrow(/set BERTH_NETWORK as it was/);
  });
});
