/** The daemons of the cluster. daemons.yaml has their programs, arguments and files. */
import { fileURLToPath } from "node:url";
import { machine } from "../../machine/machine.ts";
import { architecture } from "../lib/obtain.ts";
import { program } from "./build.ts";
import type { ClusterDaemon } from "./daemons.ts";
import { filledYaml, template } from "./templates.ts";

const { apiNodePort, nodeIp, registryPort, sandboxNodePort } = machine;

/** A daemon in daemons.yaml. A flag becomes an argument such as `--name=value`. */
interface Described extends Pick<ClusterDaemon, "files" | "stopMs"> {
  command?: string;
  args?: string[];
  flags?: Record<string, string | number | boolean>;
}

const described = filledYaml(template("daemons.yaml")) as Record<string, Described>;

/** On a processor other than amd64, Debian 12's etcd starts only if ETCD_UNSUPPORTED_ARCH names the processor. Pure. */
export const etcdEnvironment = (architecture: string) =>
  architecture === "amd64" ? {} : { env: { ETCD_UNSUPPORTED_ARCH: architecture } };

function daemonOf(name: string, { command = program(name), args = [], flags = {}, ...more }: Described): ClusterDaemon {
  const options = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  const environment = name === "etcd" ? etcdEnvironment(architecture) : {};
  return { name, command, args: [...args, ...options], ...more, ...environment };
}

const daemons = new Map(Object.entries(described).map(([name, one]) => [name, daemonOf(name, one)]));

function daemon(name: string): ClusterDaemon {
  const found = daemons.get(name);
  if (found === undefined) throw new Error(`daemons.yaml has no daemon ${name}`);
  return found;
}

export const etcd = daemon("etcd");
export const registryDaemon = daemon("registry");
export const containerd = daemon("containerd");
export const apiserver = daemon("kube-apiserver");
export const controllerManager = daemon("kube-controller-manager");
export const scheduler = daemon("kube-scheduler");
export const kubelet = daemon("kubelet");
export const kubeProxy = daemon("kube-proxy");
export const netpol = daemon("netpol");

const forwardProgram = fileURLToPath(new URL("forward.ts", import.meta.url));

const forwarded = [
  { listen: registryPort, host: "127.0.0.1", port: registryPort },
  { listen: apiNodePort, host: nodeIp, port: apiNodePort },
  { listen: sandboxNodePort, host: nodeIp, port: sandboxNodePort },
];

/**
 * Carries connections from this machine's loopback into the node. Docker needs a registry on loopback, because Docker pushes over
 * plain HTTP only to loopback addresses.
 */
export const forwards: ClusterDaemon = {
  name: "forwards",
  command: process.execPath,
  args: [forwardProgram, String(forwarded.length)],
  files: [forwardProgram],
  forwards: forwarded,
};

/** All daemons, in the order in which `npm run status` shows them. */
export const components = [forwards, ...daemons.values()];
