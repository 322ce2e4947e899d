/** Where the local cluster lives on this machine, and the addresses it uses. One cluster per machine. */
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * State that survives `npm run down`: cluster data, certificates, Pulumi's state. Removed by `--purge`. Default
 * /var/lib/berth; for users other than root, who may deploy to a cluster of theirs, ~/.local/share/berth.
 */
export const stateDir =
  process.env.BERTH_STATE ??
  (process.getuid?.() === 0 ? "/var/lib/berth" : join(homedir(), ".local", "share", "berth"));

/** Binaries and downloads, by version, shared by all checkouts. Default ~/.cache/berth. Kept by `--purge`. */
export const cacheDir = process.env.BERTH_CACHE ?? join(homedir(), ".cache", "berth");

/** Sockets and pid files: gone after a reboot, as they should be. */
export const runDir = "/run/berth";

export const logDir = join(stateDir, "log");
export const binDir = join(cacheDir, "bin");
export const kubeconfig = join(stateDir, "kubeconfig");
/** The kubeconfig context of the local cluster; the stack `dev` insists on it. */
export const context = "berth-local";
export const nodeName = "berth";
export const nodeIp = "10.200.0.1";
export const podCidr = "10.244.0.0/16";
export const nodePodCidr = "10.244.0.0/24";
export const serviceCidr = "10.96.0.0/16";
export const apiServiceIp = "10.96.0.1";
export const dnsServiceIp = "10.96.0.10";
/** NO_PROXY of all that is started here: no proxy of the machine's reaches the cluster's addresses. */
export const noProxy = [
  ...new Set([
    ...(process.env.NO_PROXY ?? process.env.no_proxy ?? "").split(",").filter(Boolean),
    "localhost",
    "127.0.0.1",
    nodeIp,
    podCidr,
    serviceCidr,
  ]),
].join();
export const registry = "127.0.0.1:5000";
export const dockerSocket = join(runDir, "docker.sock");
export const apiNodePort = 30080;
