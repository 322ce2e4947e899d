import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
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
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.resetModules();
  build = await import("./build.ts");
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** The paths in a mirror, as on dl.k8s.io. */
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

test("where one has another sum, none is taken and nothing is built", async () => {
  mirror(pathsOf(architecture));
  writeFileSync(join(folder, pathsOf(architecture)[3] as string), "half of it");
  await expect(build.obtainKubernetes()).rejects.toThrow(/kube-proxy of the mirror .* should have/);
  expect(existsSync(build.kubernetesDir)).toBe(false);
});
