/** Stops the cluster. What it has stored stays, unless it is purged. */
import { existsSync, globSync, readlinkSync, rmdirSync, rmSync } from "node:fs";
import { execa } from "execa";
import { inspect } from "../host/machine.ts";
import { unmountUnder } from "../lib/mounts.ts";
import { runDir, stateDir } from "../lib/paths.ts";
import { pidOf } from "../lib/process.ts";
import { step, UserError } from "../lib/steps.ts";
import { components, containerd, etcd, registryDaemon } from "./components.ts";
import { end, ensure, until } from "./daemons.ts";
import { clearIptables } from "./iptables.ts";
import { containerdDir, containerdRunDir, containerdSocket, kubeletDir, podAddressesDir } from "./layout.ts";
import { tearDownNetwork } from "./network.ts";
import { endContainers, shims, sweepPods } from "./pods.ts";
import { isClaimed, removeState } from "./state.ts";
/** How long containers have to end by themselves, in seconds. */
const graceSeconds = 10;
/** Ends first what would start pods again, and last what pods store their data in. */
const before = components.filter((component) => ![containerd, etcd, registryDaemon].includes(component)).reverse();
/**
 * Ends the cluster's processes and its pods' and removes their mounts, interfaces and rules. State stays. So do the
 * guard and the routes: whoever still calls an address of the cluster must not reach for it outside the machine.
 */
export async function clusterDown() {
    await step("Stop the cluster", async () => {
        if (!isClaimed() && components.every(({ name }) => pidOf(name) === undefined))
            return "there is none";
        refuseBesideAnother();
        for (const component of before)
            await end(component);
        await stopPods();
        for (const component of [containerd, etcd, registryDaemon])
            await end(component);
        await unmountUnder([kubeletDir, containerdDir, containerdRunDir]);
        for (const dir of [containerdRunDir, podAddressesDir])
            rmSync(dir, { recursive: true, force: true });
        await clearIptables();
        await execa("nft", ["delete", "table", "ip", "berth_netpol"], { reject: false });
        return "stopped";
    });
}
/** Stops the cluster and removes all that it has put on the machine, except the programs' cache. */
export async function clusterPurge() {
    await clusterDown();
    await step("Remove the cluster's state", async () => {
        await tearDownNetwork();
        await unmountUnder([stateDir, runDir]);
        removeState();
        removeStrewnFiles();
        return "its programs stay in the cache";
    });
}
/** Another Kubernetes' pods, chains and bridge have the same names as ours. */
function refuseBesideAnother() {
    const other = inspect().tcpListeners.find(({ port }) => port === kubeletPort);
    if (other !== undefined)
        throw new UserError(`Another Kubernetes runs on this machine (${other.program ?? "its kubelet"}, pid ${other.pid ?? "unknown"}), and its pods can't be told from Berth's: stop it, then run the command again.`);
}
const kubeletPort = 10250;
/** A containerd that was killed is started once more, as only it can end containers in order. */
async function stopPods() {
    if (pidOf(containerd.name) !== undefined || shims().length > 0) {
        if (containerd.files?.every((file) => existsSync(file))) {
            await ensure(containerd);
            await until("containerd", 20, () => execa("ctr", ["--address", containerdSocket, "version"]), containerd.name);
            await endContainers(graceSeconds);
        }
    }
    await sweepPods();
}
const devicePlugins = "/var/lib/kubelet/device-plugins";
/** What the kubelet and CNI write outside the state directory, whatever they are told. */
function removeStrewnFiles() {
    for (const link of globSync("/var/log/containers/*.log"))
        if (readlinkSync(link).startsWith(`${stateDir}/`))
            rmSync(link);
    for (const file of globSync(["/var/lib/cni/results/{berth,cni-loopback}-*", `${devicePlugins}/kubelet*`]))
        rmSync(file);
    const dirs = [
        "/var/lib/cni/results",
        "/var/lib/cni",
        devicePlugins,
        "/var/lib/kubelet",
        "/var/log/containers",
        "/run/netns",
    ];
    for (const dir of dirs)
        removeIfEmpty(dir);
}
function removeIfEmpty(dir) {
    try {
        rmdirSync(dir);
    }
    catch {
        // not there, or someone else's
    }
}
