/** Builds the cluster's programs from Go modules, once per version and machine. */
import { symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildOnce, goBuild, moduleVersion, sourcesVersion } from "../lib/go.ts";
import { binDir } from "../lib/paths.ts";

/** The Go module of the cluster's programs. */
export const sources = join(dirname(fileURLToPath(import.meta.url)), "programs");
const adapterSources = join(sources, "adapter");
const prometheusSources = join(sources, "prometheus");

const kubernetesVersion = moduleVersion(sources, "k8s.io/kubernetes");
const [, major, minor] = kubernetesVersion.match(/^v(\d+)\.(\d+)/) ?? [];
const versionPackage = "k8s.io/component-base/version";
const versionSettings = [`gitVersion=${kubernetesVersion}`, `gitMajor=${major}`, `gitMinor=${minor}`].map(
  (setting) => `${versionPackage}.${setting}`,
);

/** `kube` answers to these names. */
const kubeNames = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"];

/** What is in `programsDir`. local-path-provisioner is built apart: it spells the path of a shared module differently. */
const builds = [
  ["./kube", "./coredns", "./netpol", "./pause", "./volume", "github.com/google/go-containerregistry/cmd/crane"],
  ["github.com/rancher/local-path-provisioner"],
];

/** Names the sources, the pinned modules and the Go version: what decides the binaries. */
export const programsVersion = sourcesVersion(sources, "{kube,coredns,netpol,pause,volume}/*.go");
export const programsDir = join(binDir, `cluster-${programsVersion}`);

const adapterDir = join(binDir, `adapter-${sourcesVersion(adapterSources, "*.go")}`);
/** prometheus-adapter, for its stand-in image; there once `ensureAdapter` has run. */
export const adapterBinary = join(adapterDir, "adapter");

type PrometheusProgram = "prometheus" | "promtool";
const prometheusVersion = sourcesVersion(prometheusSources, "*.go");
/** `prometheus`, for its stand-in image, or `promtool`; there once `ensurePrometheus` has made it. */
export const prometheusProgram = (name: PrometheusProgram) => join(binDir, `${name}-${prometheusVersion}`, name);

/** A program of the cluster, e.g. `kubectl`; there once `buildPrograms` has run. */
export const program = (name: string) => join(programsDir, name);

/** Builds the cluster's programs unless this version is there (about six minutes on two cores). Returns what it did. */
export function buildPrograms(): Promise<string> {
  return buildOnce(programsDir, async (dir) => {
    for (const packages of builds) await goBuild(sources, dir, packages, { settings: versionSettings });
    for (const name of kubeNames) symlinkSync("kube", join(dir, name));
  });
}

/** Builds prometheus-adapter unless it is there (about three minutes). Its module graph is older, hence apart. */
export function ensureAdapter(): Promise<string> {
  const packages = ["sigs.k8s.io/prometheus-adapter/cmd/adapter"];
  return buildOnce(adapterDir, (dir) => goBuild(adapterSources, dir, packages, { settings: versionSettings }));
}

/** Builds Prometheus or promtool unless it is there (about three minutes): targets are found in Kubernetes only. */
export function ensurePrometheus(name: PrometheusProgram): Promise<string> {
  const packages = [`github.com/prometheus/prometheus/cmd/${name}`];
  const tags = "remove_all_sd,enable_kubernetes_sd";
  return buildOnce(dirname(prometheusProgram(name)), (dir) => goBuild(prometheusSources, dir, packages, { tags }));
}
