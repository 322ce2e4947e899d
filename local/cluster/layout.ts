/** The paths of the cluster's files. Most of them are below the state directory. */
import { join } from "node:path";
import { machine } from "../../machine/machine.ts";

const { stateDir } = machine;

const inState = (name: string) => join(stateDir, name);

export const etcDir = inState("etc");
export const pkiDir = inState("pki");
export const etcdDir = inState("etcd");
export const registryDir = inState("registry");
export const containerdDir = inState("containerd");
export const kubeletDir = inState("kubelet");
export const podLogsDir = inState("pod-logs");
export const volumesDir = inState("volumes");

/**
 * containerd's folder in the node, which has its own /run. The folder is containerd's default one, because cadvisor looks for
 * containerd there. With another folder, cadvisor's metrics would lack the pods' labels.
 */
export const containerdRunDir = "/run/containerd";
export const containerdSocket = join(containerdRunDir, "containerd.sock");

/**
 * The folder with the pod addresses in use. It is in the node's own /run, so that the folder disappears with the node and its
 * pods.
 */
export const podAddressesDir = "/run/cni";

export const etc = (name: string) => join(etcDir, name);
export const pki = (name: string) => join(pkiDir, name);
