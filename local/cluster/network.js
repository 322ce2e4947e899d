/** The machine's side of the cluster's network: the guard, the bridge that carries the node's address, routes, sysctls. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { nodeIp, podCidr, serviceCidr, stateDir } from "../lib/paths.ts";
import { UserError } from "../lib/steps.ts";
import { lowerGuard, raiseGuard } from "./guard.ts";
import { writeIfChanged } from "./layout.ts";
/** Interface of the node's address. A bridge, as not every kernel has dummy devices. */
const bridge = "kube0";
const sysctls = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    "fs.inotify.max_user_instances": "1024",
};
/** Also changed, by kubelet and kube-proxy; put back by `tearDownNetwork`. */
const changedByKubernetes = [
    "net.ipv4.conf.all.route_localnet",
    "vm.overcommit_memory",
    "kernel.panic",
    "kernel.panic_on_oops",
];
const savedSysctls = join(stateDir, "sysctls-before.json");
const sysctlFile = (name) => `/proc/sys/${name.replaceAll(".", "/")}`;
/** Puts up what is missing. The guard comes first: no packet may be quicker than it. */
export async function setUpNetwork() {
    await raiseGuard();
    // both may be built into the kernel, then there is no module to load
    await execa("modprobe", ["-a", "overlay", "br_netfilter"], { reject: false });
    if (!existsSync(`/sys/class/net/${bridge}`))
        await ip("link", "add", bridge, "type", "bridge");
    await ip("address", "replace", `${nodeIp}/32`, "dev", bridge);
    await ip("link", "set", bridge, "up");
    // an address that kube-proxy or CNI doesn't know (yet) ends here, not at the machine's default route
    await ip("route", "replace", serviceCidr, "dev", bridge, "src", nodeIp);
    await ip("route", "replace", podCidr, "dev", bridge, "src", nodeIp, "metric", "4000");
    if (!existsSync(sysctlFile("net.bridge.bridge-nf-call-iptables")))
        throw new UserError("The kernel doesn't show bridged packets to nftables, on which the cluster's filters rest: load its module br_netfilter (modprobe br_netfilter), then run the command again.");
    saveSysctls();
    for (const [name, value] of Object.entries(sysctls)) {
        if (readSysctl(name) !== value)
            writeFileSync(sysctlFile(name), value);
    }
}
/** Removes everything that `setUpNetwork` has put up. */
export async function tearDownNetwork() {
    await execa("ip", ["link", "delete", bridge], { reject: false });
    await lowerGuard();
    if (!existsSync(savedSysctls))
        return;
    const before = JSON.parse(readFileSync(savedSysctls, "utf8"));
    for (const [name, value] of Object.entries(before)) {
        if (readSysctl(name) !== value)
            writeFileSync(sysctlFile(name), value);
    }
    rmSync(savedSysctls);
}
async function ip(...args) {
    await execa("ip", args);
}
function saveSysctls() {
    if (existsSync(savedSysctls))
        return;
    const names = [...Object.keys(sysctls), ...changedByKubernetes];
    writeIfChanged(savedSysctls, JSON.stringify(Object.fromEntries(names.map((name) => [name, readSysctl(name)]))));
}
const readSysctl = (name) => readFileSync(sysctlFile(name), "utf8").trim();
