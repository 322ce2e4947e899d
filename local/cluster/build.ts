/** The cluster's programs: Kubernetes' own where they can be had, the others and what can't be had from Go modules, once. */
import { chmodSync, copyFileSync, existsSync, symlinkSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { machine } from "../../machine/machine.ts";
import { buildOnce, goBuild, moduleVersion, sourcesVersion } from "../lib/go.ts";
import { architecture, type Download, obtain, obtainPacked, Unobtainable } from "../lib/obtain.ts";

const { binDir } = machine;

/** The Go module of the cluster's programs. */
export const sources = join(dirname(fileURLToPath(import.meta.url)), "programs");
const prometheusSources = join(sources, "prometheus");

const kubernetesVersion = moduleVersion(sources, "k8s.io/kubernetes");
const [, major, minor] = kubernetesVersion.match(/^v(\d+)\.(\d+)/) ?? [];
const versionPackage = "k8s.io/component-base/version";
const settings = [`gitVersion=${kubernetesVersion}`, `gitMajor=${major}`, `gitMinor=${minor}`].map(
  (setting) => `${versionPackage}.${setting}`,
);

const kubernetesPrograms = [
  ...["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"],
];

/** Kubernetes' programs: six of its makers', or one of Go modules that answers to the six names. */
export const kubernetesDir = join(binDir, `kubernetes-${sourcesVersion(sources, "kube/*.go")}`);

/** Berth's own. */
const own = ["./netpol", "./pause", "./volume"];

/** A program that others publish, and the package that it is built of where it can't be had. */
interface Published extends Download {
  name: string;
  /** As the program tells it. */
  version: string;
  /** Whether the download is a compressed tar with the program in it. */
  packed: boolean;
  package: string;
}

const [corednsVersion, provisionerVersion] = [
  "github.com/coredns/coredns",
  "github.com/rancher/local-path-provisioner",
].map((module) => moduleVersion(sources, module)) as [string, string];
const published: Published[] = [
  {
    name: "coredns",
    version: corednsVersion.slice(1),
    path: `coredns_${corednsVersion.slice(1)}_linux_${architecture}.tgz`,
    url: `https://github.com/coredns/coredns/releases/download/${corednsVersion}/coredns_${corednsVersion.slice(1)}_linux_${architecture}.tgz`,
    packed: true,
    package: "./coredns",
  },
  {
    // Its makers publish it in an image only, so no sum of it is known; a mirror may have it by this name.
    name: "local-path-provisioner",
    version: provisionerVersion,
    path: `local-path-provisioner-${provisionerVersion}-linux-${architecture}`,
    url: `https://github.com/rancher/local-path-provisioner/releases/tag/${provisionerVersion}`,
    packed: false,
    package: "github.com/rancher/local-path-provisioner",
  },
];

/** Names the sources, the pinned modules and the Go version: what decides the binaries. */
export const programsVersion = sourcesVersion(sources, "{coredns,netpol,netpol/rules,pause,volume}/*.go");
export const programsDir = join(binDir, `cluster-${programsVersion}`);

const adapterDir = join(binDir, `adapter-${sourcesVersion(sources, "adapter/*.go")}`);
/** prometheus-adapter, for its stand-in image; there once `ensureAdapter` has run. */
export const adapterBinary = join(adapterDir, "adapter");

type PrometheusProgram = "prometheus" | "promtool";
const prometheusVersion = sourcesVersion(prometheusSources, "*.go");
/** `prometheus`, for its stand-in image, or `promtool`; there once `ensurePrometheus` has made it. */
export const prometheusProgram = (name: PrometheusProgram) => join(binDir, `${name}-${prometheusVersion}`, name);

/** A program of the cluster, e.g. `kubectl`; there once `ensurePrograms` and `obtainKubernetes` or `buildKubernetes` have run. */
export const program = (name: string) => join(kubernetesPrograms.includes(name) ? kubernetesDir : programsDir, name);

/**
 * Takes those of Kubernetes' programs that are installed in this version, and the others from a mirror or from its makers.
 * Where one can't be had, none is taken: `buildKubernetes` makes all. Returns what it did, for the step's line.
 * @throws UserError when a file isn't what it should be
 */
export async function obtainKubernetes(): Promise<string> {
  const fill = async (dir: string) => {
    for (const name of kubernetesPrograms) {
      const path = `release/${kubernetesVersion}/bin/linux/${architecture}/${name}`;
      await take({ name, version: kubernetesVersion, path, url: `https://dl.k8s.io/${path}`, packed: false }, dir);
    }
    return `${kubernetesVersion}, installed`;
  };
  try {
    return await buildOnce(kubernetesDir, fill);
  } catch (error) {
    if (error instanceof Unobtainable) return `to be built, because ${error.message}`;
    throw error;
  }
}

/** Copies or downloads the program. @throws Unobtainable, or UserError when a file isn't what it should be */
async function take(program: Omit<Published, "package">, dir: string): Promise<void> {
  const file = join(dir, program.name);
  const installed = await installedProgram(program);
  if (installed) copyFileSync(installed, file);
  else if (program.packed) await obtainPacked(program, dir);
  else await obtain(program, file);
  chmodSync(file, 0o755);
}

/** The program on PATH, if it is of the cluster's version. */
async function installedProgram({ name, version }: Omit<Published, "package">): Promise<string | undefined> {
  const file = (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(existsSync);
  if (file === undefined || dirname(file) === kubernetesDir) return undefined;
  const args = name === "kubectl" ? ["version", "--client"] : ["--version"];
  const { stdout } = await execa(file, args, { reject: false, timeout: 10_000 });
  return new RegExp(`\\b${version}(\\s|$)`).test(stdout ?? "") ? file : undefined;
}

export const hasKubernetes = (): boolean => existsSync(kubernetesDir);

/** Builds Kubernetes' programs unless they are there (about five minutes on two cores). */
export const buildKubernetes = (): Promise<string> =>
  buildOnce(kubernetesDir, async (dir) => {
    await goBuild(sources, dir, ["./kube"], { settings });
    for (const name of kubernetesPrograms) symlinkSync("kube", join(dir, name));
  });

/**
 * Makes the other programs unless this version is there (about two minutes): takes those that others publish where they can be
 * had, as `obtainKubernetes` does, and builds the rest. Returns what it did.
 */
export const ensurePrograms = (): Promise<string> =>
  buildOnce(programsDir, async (dir) => {
    const lacking: string[] = [];
    for (const program of published)
      await take(program, dir).catch((error: unknown) => {
        if (!(error instanceof Unobtainable)) throw error;
        lacking.push(program.package);
      });
    // Each by itself, because they spell the path of a shared module differently.
    for (const packages of [own, ...lacking.map((each) => [each])]) await goBuild(sources, dir, packages, { settings });
  });

/** Builds prometheus-adapter unless it is there (a minute, where Kubernetes was built before). */
export const ensureAdapter = (): Promise<string> =>
  buildOnce(adapterDir, (dir) => goBuild(sources, dir, ["./adapter"], { settings }));

/** Builds Prometheus or promtool unless it is there (about three minutes): targets are found in Kubernetes only. */
export function ensurePrometheus(name: PrometheusProgram): Promise<string> {
  const packages = [`github.com/prometheus/prometheus/cmd/${name}`];
  const tags = "remove_all_sd,enable_kubernetes_sd";
  return buildOnce(dirname(prometheusProgram(name)), (dir) => goBuild(prometheusSources, dir, packages, { tags }));
}
