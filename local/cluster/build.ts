/** Builds the cluster's programs from Go modules, once per version and machine. */
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { binDir } from "../lib/paths.ts";
import { UserError } from "../lib/steps.ts";

/** The Go module of the cluster's programs. */
export const sources = join(dirname(fileURLToPath(import.meta.url)), "programs");
const adapterSources = join(sources, "adapter");
const prometheusSources = join(sources, "prometheus");

const kubernetesVersion = readVersion("k8s.io/kubernetes");
const [, major, minor] = kubernetesVersion.match(/^v(\d+)\.(\d+)/) ?? [];
const versionPackage = "k8s.io/component-base/version";
const versionFlags = [`gitVersion=${kubernetesVersion}`, `gitMajor=${major}`, `gitMinor=${minor}`]
  .map((setting) => `-X ${versionPackage}.${setting}`)
  .join(" ");

/** `kube` answers to these names. */
const kubeNames = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"];

/** What is in `programsDir`. local-path-provisioner is built apart: it spells the path of a shared module differently. */
const builds = [
  ["./kube", "./coredns", "./netpol", "./pause", "./volume", "github.com/google/go-containerregistry/cmd/crane"],
  ["github.com/rancher/local-path-provisioner"],
];

/** Names the sources, the pinned modules and the Go version: what decides the binaries. */
export const programsVersion = versionOf(sources, "{kube,coredns,netpol,pause,volume}/*.go");
export const programsDir = join(binDir, `cluster-${programsVersion}`);

const adapterDir = join(binDir, `adapter-${versionOf(adapterSources, "*.go")}`);
/** prometheus-adapter, for its stand-in image; there once `ensureAdapter` has run. */
export const adapterBinary = join(adapterDir, "adapter");

const prometheusDir = join(binDir, `prometheus-${versionOf(prometheusSources, "*.go")}`);
/** `prometheus`, for its stand-in image, or `promtool`; there once `ensurePrometheus` has run. */
export const prometheusProgram = (name: "prometheus" | "promtool") => join(prometheusDir, name);

/** A program of the cluster, e.g. `kubectl`; there once `buildPrograms` has run. */
export const program = (name: string) => join(programsDir, name);

/** Builds the cluster's programs unless this version is there (about six minutes on two cores). Returns what it did. */
export function buildPrograms(): Promise<string> {
  return buildOnce(programsDir, async (dir) => {
    for (const packages of builds) await goBuild(sources, dir, packages);
    for (const name of kubeNames) symlinkSync("kube", join(dir, name));
  });
}

/** Builds prometheus-adapter unless it is there (about three minutes). Its module graph is older, hence apart. */
export function ensureAdapter(): Promise<string> {
  return buildOnce(adapterDir, (dir) => goBuild(adapterSources, dir, ["sigs.k8s.io/prometheus-adapter/cmd/adapter"]));
}

/** Builds Prometheus and promtool unless they are there (about three minutes): targets are found in Kubernetes only. */
export function ensurePrometheus(): Promise<string> {
  const module = "github.com/prometheus/prometheus";
  return buildOnce(prometheusDir, (dir) =>
    goBuild(
      prometheusSources,
      dir,
      [`${module}/cmd/prometheus`, `${module}/cmd/promtool`],
      "remove_all_sd,enable_kubernetes_sd",
    ),
  );
}

/** Fills `dir` by `build`, whole or not at all: an interrupted build leaves only a directory that nobody looks into. */
async function buildOnce(dir: string, build: (dir: string) => Promise<void>): Promise<string> {
  if (existsSync(dir)) return "built already";
  const unfinished = `${dir}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  try {
    await build(unfinished);
    renameSync(unfinished, dir);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return `built into ${dir}`;
}

/** Without cgo: the programs also run in images that hold nothing else. */
async function goBuild(cwd: string, output: string, packages: string[], tags = ""): Promise<void> {
  const ldflags = `-s -w ${versionFlags}`;
  const args = [
    "build",
    "-trimpath",
    "-mod=readonly",
    `-ldflags=${ldflags}`,
    `-tags=${tags}`,
    "-o",
    `${output}/`,
    ...packages,
  ];
  const result = await execa("go", args, { cwd, env: { CGO_ENABLED: "0", GOFLAGS: "" }, reject: false, all: true });
  if (!result.failed) return;
  const reason = (result.all ?? result.message).trim().split("\n").at(-1);
  throw new UserError(
    `go could not build ${packages.join(" ")} (${reason}): check that the Go module proxy can be reached (go env GOPROXY) and the disk has room, then run the command again.`,
  );
}

function readVersion(module: string): string {
  const line = readFileSync(join(sources, "go.mod"), "utf8").match(new RegExp(`^\\s${module} (v\\S+)`, "m"));
  if (!line?.[1]) throw new Error(`${module} is not in ${sources}/go.mod`);
  return line[1];
}

function versionOf(dir: string, pattern: string): string {
  const hash = createHash("sha256");
  const files = ["go.mod", "go.sum", ...globSync(pattern, { cwd: dir }).sort()].filter((f) => !f.endsWith("_test.go"));
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(dir, file)));
  return hash.digest("hex").slice(0, 12);
}
