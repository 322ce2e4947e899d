/** Where this machine's Berth is: its folders, sockets and addresses, as BERTH_… variables move them. */
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "./userError.ts";

/** The checkout. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

export type Machine = ReturnType<typeof machineOf>;

/**
 * The machine's Berth as the variables name it.
 * @param isRoot users other than root, who may deploy to a cluster of theirs, have their state below their home
 * @throws UserError for a variable that is wrong
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
    throw new UserError(`BERTH_NETWORK is ${network}: set it to a network such as 10.200.0.0/16.`);
  const nodeIp = `${prefix}.0.1`;
  const noProxy = (env.NO_PROXY ?? env.no_proxy ?? "").split(",").filter(Boolean);

  /** The port that the variable names. */
  const port = (variable: string, standard: number, min: number, max: number): number => {
    const value = Number(env[variable] ?? standard);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new UserError(`${variable} is ${env[variable]}: set it to a port from ${min} to ${max}.`);
  };
  const registryPort = port("BERTH_REGISTRY_PORT", 5000, 1, 65_535);

  return {
    /** Names this Berth's control groups and its network interface. Another name makes another Berth beside the first. */
    name,
    /** State that survives `npm run down`: cluster data, certificates, Pulumi's state. Removed by `--purge`. */
    stateDir,
    /** Binaries and downloads, by version, shared by all checkouts. Kept by `--purge`. */
    cacheDir,
    binDir: join(cacheDir, "bin"),
    /** Sockets and pid files: gone after a reboot, as they should be. */
    runDir,
    dockerSocket: join(runDir, "docker.sock"),
    logDir: join(stateDir, "log"),
    kubeconfig: join(stateDir, "kubeconfig"),
    /** The kubeconfig context of the local cluster; the stack `dev` insists on it. */
    context: "berth-local",
    nodeName: "berth",

    /** The addresses of node, machine, pods and Services, which are all in this network. */
    network,
    nodeIp,
    /** This machine, as the node and its pods see it. */
    machineIp: `${prefix}.0.2`,
    /** A bridge that Docker needs to start, and its address. */
    bridge: `${name}-d`,
    bridgeIp: `${prefix}.0.5`,
    podCidr: `${prefix}.1.0/24`,
    serviceCidr: `${prefix}.16.0/20`,
    apiServiceIp: `${prefix}.16.1`,
    dnsServiceIp: `${prefix}.16.10`,
    /** NO_PROXY of all that is started here: no proxy of the machine's reaches the cluster's addresses. */
    noProxy: [...new Set([...noProxy, "localhost", "127.0.0.1", nodeIp, network])].join(),
    registryPort,
    registry: `127.0.0.1:${registryPort}`,
    /** One of those that Kubernetes gives to Services. */
    apiNodePort: port("BERTH_API_PORT", 30_080, 30_000, 32_767),
  };
}

/** This machine's. */
export const machine = machineOf(process.env, process.getuid?.() === 0, homedir());
