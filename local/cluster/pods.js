/** Ends pods from outside, when the kubelet is down: their containers, namespaces, cgroups and interfaces. */
import { existsSync, globSync, readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { cgroupFolders, removeCgroup } from "../lib/cgroups.ts";
import { containerdSocket } from "./layout.ts";
const podCgroup = "kubepods";
const podNetworks = "/run/netns/cni-*";
/** Asks all containers to end, waits at most `graceSeconds`, and kills the rest. containerd must be running. */
export async function endContainers(graceSeconds) {
    const running = async () => (await ctr("tasks", "list", "--quiet")).split("\n").filter(Boolean);
    for (const id of await running())
        await ctr("tasks", "kill", "--signal", "SIGTERM", id);
    const deadline = performance.now() + graceSeconds * 1000;
    while (podProcesses().length > 0 && performance.now() < deadline)
        await sleep(100);
    for (const id of await running())
        await ctr("tasks", "delete", "--force", id);
}
async function ctr(...args) {
    const result = await execa("ctr", ["--address", containerdSocket, "--namespace", "k8s.io", ...args], {
        reject: false, // a container may end by itself meanwhile
    });
    return result.stdout;
}
/**
 * Kills what is left of pods and the shims that held it, and removes pods' cgroups, network namespaces and bridge.
 * Those have the names that every Kubernetes gives them, so no other may be on the machine.
 */
export async function sweepPods() {
    const deadline = performance.now() + 10_000; // a process may hang in the kernel
    while (kill([...shims(), ...podProcesses()]) > 0 && performance.now() < deadline)
        await sleep(50);
    removeCgroup(podCgroup);
    for (const network of globSync(podNetworks)) {
        await execa("umount", ["--lazy", network], { reject: false });
        rmSync(network, { force: true });
    }
    await execa("ip", ["link", "delete", "cni0"], { reject: false });
}
/** The processes in pods' cgroups. */
function podProcesses() {
    const pids = globSync(`${cgroupFolders(podCgroup)}/**/cgroup.procs`).flatMap((file) => read(file).split("\n").filter(Boolean));
    return [...new Set(pids.map(Number))];
}
/** The pids of the processes that hold the cluster's containers. */
export function shims() {
    return globSync("/proc/[0-9]*/cmdline").flatMap((file) => {
        const args = read(file).split("\0");
        const isOurs = args[0]?.endsWith("/containerd-shim-runc-v2") && args.includes("k8s.io") && args.includes(containerdSocket);
        return isOurs ? [Number(file.split("/")[2])] : [];
    });
}
function kill(pids) {
    for (const pid of pids) {
        try {
            process.kill(pid, "SIGKILL");
        }
        catch {
            // gone already
        }
    }
    return pids.length;
}
const read = (file) => {
    try {
        return existsSync(file) ? readFileSync(file, "utf8") : "";
    }
    catch {
        return "";
    }
};
