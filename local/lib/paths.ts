/** Where the local cluster lives on this machine, and the addresses it uses. */
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "./steps.ts";

/** The checkout. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const env = process.env;

/** Names this Berth's control groups and its network interface. Another name makes another Berth beside the first. */
export const name = env.BERTH_NAME ?? "berth";
if (!/^[a-z][a-z0-9-]{0,11}$/.test(name))
  throw new UserError(`BERTH_NAME is ${name}, and not at most 12 small letters, digits and dashes.`);

/**
 * State that survives `npm run down`: cluster data, certificates, Pulumi's state. Removed by `--purge`. Default
 * /var/lib/berth; for users other than root, who may deploy to a cluster of theirs, ~/.local/share/berth.
 */
export const stateDir = resolve(
  env.BERTH_STATE ?? (process.getuid?.() === 0 ? `/var/lib/${name}` : join(homedir(), ".local", "share", name)),
);

/** Binaries and downloads, by version, shared by all checkouts. Default ~/.cache/berth. Kept by `--purge`. */
export const cacheDir = resolve(env.BERTH_CACHE ?? join(homedir(), ".cache", "berth"));

/** Sockets and pid files: gone after a reboot, as they should be. */
export const runDir = `/run/${name}`;

export const logDir = join(stateDir, "log");
export const binDir = join(cacheDir, "bin");
export const kubeconfig = join(stateDir, "kubeconfig");
/** The kubeconfig context of the local cluster; the stack `dev` insists on it. */
export const context = "berth-local";
export const nodeName = "berth";

/** The addresses of node, machine, pods and Services, which are all in this network. */
export const network = env.BERTH_NETWORK ?? "10.200.0.0/16";
const prefix = network.match(/^(\d+\.\d+)\.0\.0\/16$/)?.[1];
if (prefix === undefined || prefix.split(".").some((part) => Number(part) > 255))
  throw new UserError(`BERTH_NETWORK is ${network}, and not a network such as 10.200.0.0/16.`);
export const nodeIp = `${prefix}.0.1`;
/** This machine, as the node and its pods see it. */
export const machineIp = `${prefix}.0.2`;
/** A bridge that Docker needs to start, and its address. */
export const bridge = `${name}-d`;
export const bridgeIp = `${prefix}.0.5`;
export const podCidr = `${prefix}.1.0/24`;
export const serviceCidr = `${prefix}.16.0/20`;
export const apiServiceIp = `${prefix}.16.1`;
export const dnsServiceIp = `${prefix}.16.10`;
/** NO_PROXY of all that is started here: no proxy of the machine's reaches the cluster's addresses. */
export const noProxy = [
  ...new Set([
    ...(env.NO_PROXY ?? env.no_proxy ?? "").split(",").filter(Boolean),
    "localhost",
    "127.0.0.1",
    nodeIp,
    network,
  ]),
].join();
export const registryPort = port("BERTH_REGISTRY_PORT", 5000, 1, 65_535);
export const registry = `127.0.0.1:${registryPort}`;
export const dockerSocket = join(runDir, "docker.sock");
/** One of those that Kubernetes gives to Services. */
export const apiNodePort = port("BERTH_API_PORT", 30_080, 30_000, 32_767);
/** Another of them, for the ports of sessions. */
export const sandboxNodePort = port("BERTH_SANDBOX_PORT", 30_090, 30_000, 32_767);

/** The port that the variable names. @throws UserError for anything but a port in the range */
function port(variable: string, standard: number, min: number, max: number): number {
  const value = Number(env[variable] ?? standard);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UserError(`${variable} is ${env[variable]}, and not a port from ${min} to ${max}.`);
}
