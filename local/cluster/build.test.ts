import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import known from "../downloads.json" with { type: "json" };
import { architecture } from "../lib/obtain.ts";

const names = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"];
let folder: string;
let build: typeof import("./build.ts");

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "berth-programs-"));
  vi.stubEnv("BERTH_CACHE", join(folder, "cache"));
  vi.stubEnv("BERTH_MIRROR", folder);
  vi.stubEnv("BERTH_MIRROR_TRUSTED", "1");
  // A shell that uses the local cluster has the cluster's own programs on PATH.
  const folders = (process.env.PATH ?? "").split(":").filter((path) => !existsSync(join(path, "kubelet")));
  vi.stubEnv("PATH", folders.join(":"));
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.resetModules();
  build = await import("./build.ts");
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** The paths in a mirror, which are the same as on dl.k8s.io. */
const pathsOf = (arch: string) => names.map((name) => `release/v1.34.4/bin/linux/${arch}/${name}`);
const script = (name: string) => `#!/bin/sh\necho ${name}\n`;

function mirror(paths: string[]): void {
  for (const path of paths) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), script(path));
  }
  const sums = paths.map((path) => `${createHash("sha256").update(script(path)).digest("hex")}  ${path}`);
  writeFileSync(join(folder, "SHA256SUMS"), sums.join("\n"));
}

test("the sums of all of Kubernetes' programs are known, for both processors", () => {
  const paths = known.flatMap(({ sha256 }) => Object.keys(sha256));
  expect(paths).toEqual(expect.arrayContaining([...pathsOf("amd64"), ...pathsOf("arm64")]));
});

test("six separate programs of a mirror are the cluster's", async () => {
  mirror(pathsOf(architecture));
  expect(await build.obtainKubernetes()).toBe("v1.34.4, installed");
  expect(build.hasKubernetes()).toBe(true);
  const { stdout } = await execa(build.program("kubelet"));
  expect(stdout).toMatch(/kubelet$/);
  expect(build.program("coredns")).toBe(join(build.programsDir, "coredns"));
});

test("one that is installed in the same version is copied", async () => {
  mirror(pathsOf(architecture));
  const kubelet = "#!/bin/sh\necho Kubernetes v1.34.4\n";
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/kubelet"), kubelet, { mode: 0o755 });
  writeFileSync(join(folder, "bin/kubectl"), "#!/bin/sh\necho Client Version: v1.34.40\n", { mode: 0o755 });
  vi.stubEnv("PATH", `${join(folder, "bin")}:${process.env.PATH}`);
  await build.obtainKubernetes();
  expect(readFileSync(build.program("kubelet"), "utf8")).toBe(kubelet);
  expect(readFileSync(build.program("kubectl"), "utf8")).toMatch(/release/);
});

describe.each(["folder", "web server"])("the other programs, from a mirror that is a %s", (kind) => {
  const archive = `coredns_1.12.4_linux_${architecture}.tgz`;
  let server: Server;

  beforeEach(async () => {
    const content = join(folder, "content");
    mkdirSync(content);
    writeFileSync(join(content, "coredns"), script("published"));
    await execa("tar", ["-czf", join(folder, archive), "-C", content, "coredns"]);
    const sum = createHash("sha256")
      .update(readFileSync(join(folder, archive)))
      .digest("hex");
    writeFileSync(join(folder, "SHA256SUMS"), `${sum}  ${archive}\n`);
    // This stand-in for go makes the files that the command line names.
    mkdirSync(join(folder, "bin"));
    const go = `while [ "$1" != -o ]; do shift; done; for name; do :; done; for name; do echo built >"$2$(basename $name)"; done`;
    writeFileSync(join(folder, "bin/go"), `#!/bin/sh\n${go}\n`, { mode: 0o755 });
    vi.stubEnv("PATH", `${join(folder, "bin")}:${process.env.PATH}`);
    server = createServer(({ url = "" }, response) => {
      if (existsSync(join(folder, url))) response.end(readFileSync(join(folder, url)));
      else response.writeHead(404).end();
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    if (kind === "web server") vi.stubEnv("BERTH_MIRROR", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  afterEach(() => void server.close());

  test("CoreDNS is taken as its makers publish it, and what can't be had is built", async () => {
    await build.ensurePrograms();
    const contents = Object.fromEntries(
      ["coredns", "local-path-provisioner", "netpol"].map((name) => [name, readFileSync(build.program(name), "utf8")]),
    );
    expect(contents).toEqual({ coredns: script("published"), "local-path-provisioner": "built\n", netpol: "built\n" });
  });

  test("one with another sum is refused, and nothing is built in its place", async () => {
    writeFileSync(join(folder, archive), "half of it");
    await expect(build.ensurePrograms()).rejects.toThrow(/coredns_.* of the mirror .* has the SHA-256/);
    expect(existsSync(build.programsDir)).toBe(false);
  });

  test("one that nobody vouches for is not taken", async () => {
    vi.stubEnv("BERTH_MIRROR_TRUSTED", "");
    await expect(build.ensurePrograms()).rejects.toThrow(/set BERTH_MIRROR_TRUSTED=1/);
  });
});

test("where one has another sum, none is taken and nothing is built", async () => {
  mirror(pathsOf(architecture));
  writeFileSync(join(folder, pathsOf(architecture)[3] as string), "half of it");
  await expect(build.obtainKubernetes()).rejects.toThrow(/kube-proxy of the mirror .* should have/);
  expect(existsSync(build.kubernetesDir)).toBe(false);
});
