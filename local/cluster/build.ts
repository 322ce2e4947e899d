/**
 * Obtains the cluster's programs, once per version. Published programs are used if they can be obtained. The others are built
 * from Go modules.
 */
import { existsSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { machine } from "../../machine/machine.ts";
import { filesOnPath } from "../host/inspect.ts";
import { buildOnce, goBuild, goProgram, moduleVersion, sourcesVersion } from "../lib/go.ts";
import { architecture, type Published, take, takeOnce, Unobtainable, unobtainable } from "../lib/obtain.ts";

const { binDir } = machine;

/** The Go module of the cluster's programs. */
export const sources = join(dirname(fileURLToPath(import.meta.url)), "programs");

const kubernetesVersion = moduleVersion(sources, "k8s.io/kubernetes");
const [, major, minor] = kubernetesVersion.match(/^v(\d+)\.(\d+)/) ?? [];
const versionPackage = "k8s.io/component-base/version";
const settings = [`gitVersion=${kubernetesVersion}`, `gitMajor=${major}`, `gitMinor=${minor}`].map(
  (setting) => `${versionPackage}.${setting}`,
);

const names = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"];

/** The folder of Kubernetes' programs: the six published programs, or one program, built from Go modules, under the six names. */
export const kubernetesDir = join(binDir, `kubernetes-${sourcesVersion(sources, "kube/*.go")}`);

const kubernetes: Published[] = names.map((program) => {
  const path = `release/${kubernetesVersion}/bin/linux/${architecture}/${program}`;
  const installed = () => installedProgram(program, kubernetesVersion);
  return { program, path, url: `https://dl.k8s.io/${path}`, installed };
});

/** The Go packages of Berth's own programs. */
const own = ["./netpol", "./pause", "./volume"];

const coredns = "github.com/coredns/coredns";
const provisioner = "github.com/rancher/local-path-provisioner";
const corednsVersion = moduleVersion(sources, coredns).slice(1);
const corednsFile = `coredns_${corednsVersion}_linux_${architecture}.tgz`;
const provisionerVersion = moduleVersion(sources, provisioner);

/**
 * Programs that other projects publish. The key is the Go package from which the program is built if the published one can't be
 * obtained.
 */
const published: Record<string, Published> = {
  "./coredns": {
    path: corednsFile,
    url: `https://${coredns}/releases/download/v${corednsVersion}/${corednsFile}`,
    installed: () => installedProgram("coredns", corednsVersion),
  },
  [provisioner]: {
    program: "local-path-provisioner",
    // The project publishes this program only in an image, so no checksum of the program is known. A mirror may have the program
    // under this name.
    path: `local-path-provisioner-${provisionerVersion}-linux-${architecture}`,
    url: `https://${provisioner}/releases/tag/${provisionerVersion}`,
    installed: () => installedProgram("local-path-provisioner", provisionerVersion),
  },
};

/** A hash of the sources from which the programs are built. */
export const programsVersion = sourcesVersion(sources, "{coredns,netpol,netpol/rules,pause,volume}/*.go");
export const programsDir = join(binDir, `cluster-${programsVersion}`);

/** prometheus-adapter, for its stand-in image. The build takes a minute if Kubernetes was built before. */
export const adapter = goProgram("adapter", sources, { from: "./adapter", files: "adapter/*.go", settings });

/**
 * Prometheus or promtool, built in about three minutes. The build tags leave out every optional way to discover targets, except
 * the discovery in Kubernetes.
 */
const ofPrometheus = (name: string) =>
  goProgram(name, join(sources, "prometheus"), {
    from: `github.com/prometheus/prometheus/cmd/${name}`,
    tags: "remove_all_sd,enable_kubernetes_sd",
  });
/** Prometheus, for its stand-in image. */
export const prometheus = ofPrometheus("prometheus");
export const promtool = ofPrometheus("promtool");

/**
 * The path of a program of the cluster, for example `kubectl`. The file exists after `ensurePrograms`, and `obtainKubernetes` or
 * `buildKubernetes`, have run.
 */
export const program = (name: string) => join(names.includes(name) ? kubernetesDir : programsDir, name);

/**
 * Copies Kubernetes' programs that are installed on this machine in this version, and downloads the others from a mirror or from
 * Kubernetes' own site. If one program can't be obtained, none is kept, and `buildKubernetes` builds all of them. Returns a text
 * for the step's line.
 * @throws UserError when a file has a wrong checksum
 */
export async function obtainKubernetes(): Promise<string> {
  const done = await takeOnce(kubernetesDir, kubernetes);
  return typeof done === "string" ? `${kubernetesVersion}, ${done}` : `to be built, because ${done.message}`;
}

/** Finds a program on PATH. Returns undefined unless the program itself reports this version. */
async function installedProgram(name: string, version: string): Promise<string[] | undefined> {
  const [file] = filesOnPath(name);
  if (file === undefined || dirname(file) === kubernetesDir) return undefined;
  const args = name === "kubectl" ? ["version", "--client"] : ["--version"];
  const { stdout } = await execa(file, args, { reject: false, timeout: 10_000 });
  return new RegExp(`\\b${version}(\\s|$)`).test(stdout ?? "") ? [file] : undefined;
}

export const hasKubernetes = (): boolean => existsSync(kubernetesDir);

/** Builds Kubernetes' programs unless they exist already (about five minutes on two cores). */
export const buildKubernetes = (): Promise<string> =>
  buildOnce(kubernetesDir, async (dir) => {
    await goBuild(sources, dir, ["./kube"], { settings });
    for (const name of names) symlinkSync("kube", join(dir, name));
  });

/**
 * Obtains the cluster's programs except Kubernetes' own, unless this version exists already (about two minutes). Published
 * programs are copied or downloaded if possible, as in `obtainKubernetes`. The others are built. Returns a text for the step's
 * line.
 */
export const ensurePrograms = (): Promise<string> =>
  buildOnce(programsDir, async (dir) => {
    const lacking: string[] = [];
    for (const [from, program] of Object.entries(published))
      if ((await take(program, dir).catch(unobtainable)) instanceof Unobtainable) lacking.push(from);
    // Each lacking program is built separately, because one `go build` accepts only one spelling of a module's path, and the
    // programs import the module logrus under two spellings (Sirupsen and sirupsen).
    for (const packages of [own, ...lacking.map((each) => [each])]) await goBuild(sources, dir, packages, { settings });
  });
