/** What this machine has, as far as the local cluster cares. Reads only. */
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { totalmem } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { cacheDir, nodeIp, stateDir } from "../lib/paths.ts";
import { tcpListeners, unixListener } from "./sockets.ts";
export function inspect() {
    const containerd = unixListener("/run/containerd/containerd.sock");
    return {
        platform: process.platform,
        uid: process.getuid?.(),
        hasApt: onPath("apt-get") && onPath("dpkg"),
        hasGo: onPath("go"),
        memory: totalmem(),
        startedBefore: existsSync(join(stateDir, "etcd")),
        disks: [
            { path: stateDir, variable: "BERTH_STATE", free: freeSpace(stateDir) },
            { path: cacheDir, variable: "BERTH_CACHE", free: freeSpace(cacheDir) },
        ],
        tcpListeners: tcpListeners(nodeIp).filter(({ pid }) => !isBerths(pid)),
        containerd: isBerths(containerd?.pid) ? undefined : containerd,
    };
}
const onPath = (name) => (process.env.PATH ?? "").split(delimiter).some((dir) => existsSync(join(dir, name)));
function freeSpace(path) {
    if (!existsSync(path))
        return freeSpace(dirname(path));
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
}
/** Berth's daemons carry this in their environment. */
function isBerths(pid) {
    if (pid === undefined)
        return false;
    try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").includes("BERTH_DAEMON=");
    }
    catch {
        return false;
    }
}
