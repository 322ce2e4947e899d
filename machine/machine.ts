/** The folders, sockets and addresses of this machine's Berth. BERTH_… variables change them. */
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "./userError.ts";

/**
 * The folder of the checkout. This folder is not an npm package, and is imported by its path: a copy of the checkout that uses the
 * packages of another checkout by a link would otherwise get the root of the other checkout.
 */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

export type Machine = ReturnType<typeof machineOf>;

/**
 * Returns the folders, sockets and addresses of this machine's Berth. A variable in `env` replaces a default value.
 * @param isRoot whether the user is root. Other users can't start the local cluster, but can deploy to a cluster of their own.
 * Their default state folder is below `home`
 * @throws UserError for a variable with a wrong value
 */
export function machineOf(env: NodeJS.ProcessEnv, isRoot: boolean, home: string) {
  const name = env.BERTH_NAME ?? "berth";
  if (!/^[a-z][a-z0-9-]{0,11}$/.test(name))
    throw new UserError(
      `BERTH_NAME is ${name}: set it to a small letter and up to 11 small letters, digits and dashes.`,
    );
  const stateDir = resolve(env.BERTH_STATE ?? (isRoot ? `/var/lib/${name}` : join(home, ".local", "share", name)));
  const cacheDir = resolve(env.BERTH_CACHE ?? join(home, ".cache", "berth"));
  const runDir = `/run/${name}`;

  const network = env.BERTH_NETWORK ?? "10.200.0.0/16";
  const prefix = network.match(/^(\d+\.\d+)\.0\.0\/16$/)?.[1];
  if (prefix === undefined || prefix.split(".").some((part) => Number(part) > 255))
    throw new UserError(
      `BERTH_NETWORK is ${network}: set it to a network of the form A.B.0.0/16, for example 10.200.0.0/16.`,
    );
  const nodeIp = `${prefix}.0.1`;
  const clusterDomain = env.BERTH_CLUSTER_DOMAIN ?? "cluster.local";
  if (!/^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/.test(clusterDomain))
    throw new UserError(`BERTH_CLUSTER_DOMAIN is ${clusterDomain}: set it to a DNS name such as cluster.local.`);
  const noProxy = (env.NO_PROXY ?? env.no_proxy ?? "").split(",").filter(Boolean);

  /** Returns the port that the variable sets, or `standard` if the variable is not set. */
  const port = (variable: string, standard: number, min: number, max: number): number => {
    const value = Number(env[variable] ?? standard);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new UserError(`${variable} is ${env[variable]}: set it to a port from ${min} to ${max}.`);
  };
  const registryPort = port("BERTH_REGISTRY_PORT", 5000, 1, 65_535);

  return {
    /**
     * The name of the cluster's control group and network interface. The names of Docker's control group and bridge begin with
     * it. With another name, another network and other ports, a second Berth can run beside the first.
     */
    name,
    /** State that survives `npm run down`: cluster data, certificates, Pulumi's state. Removed by `--purge`. */
    stateDir,
    /**
     * Programs and stand-in images, by version. All checkouts share the folder. `--purge` keeps it, unless `--cache` is given.
     */
    cacheDir,
    binDir: join(cacheDir, "bin"),
    /** Sockets and pid files, which must not survive a reboot. */
    runDir,
    dockerSocket: join(runDir, "docker.sock"),
    logDir: join(stateDir, "log"),
    kubeconfig: join(stateDir, "kubeconfig"),
    /** The kubeconfig context of the local cluster; the stack `dev` accepts no other context. */
    context: "berth-local",
    nodeName: "berth",
    /** The domain of the names of Services. A cluster keeps the domain with which it was made. */
    clusterDomain,

    /** The network that contains the addresses of the node, the machine, the pods and the Services. */
    network,
    nodeIp,
    /** The address at which the node and its pods reach this machine. */
    machineIp: `${prefix}.0.2`,
    /** The bridge that Docker needs while it starts, and the bridge's address. */
    bridge: `${name}-d`,
    bridgeIp: `${prefix}.0.5`,
    podCidr: `${prefix}.1.0/24`,
    serviceCidr: `${prefix}.16.0/20`,
    apiServiceIp: `${prefix}.16.1`,
    dnsServiceIp: `${prefix}.16.10`,
    /**
     * NO_PROXY of all programs that Berth starts. It contains the cluster's addresses, because no outside proxy can reach them.
     */
    noProxy: [...new Set([...noProxy, "localhost", "127.0.0.1", nodeIp, network])].join(),
    registryPort,
    registry: `127.0.0.1:${registryPort}`,
    /** The port of Berth's API. It is in the range of Kubernetes' NodePorts. */
    apiNodePort: port("BERTH_API_PORT", 30_080, 30_000, 32_767),
    /** The NodePort for the ports of sessions. */
    sandboxNodePort: port("BERTH_SANDBOX_PORT", 30_090, 30_000, 32_767),
  };
}

/** The settings of this machine. */
export const machine = machineOf(process.env, process.getuid?.() === 0, homedir());
