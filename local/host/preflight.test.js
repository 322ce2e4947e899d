import { describe, expect, it } from "vitest";
import { missingPackages } from "./packages.ts";
import { findFault } from "./preflight.ts";
import { parseTcp, parseUnix } from "./sockets.ts";
const gib = 2 ** 30;
const good = {
    platform: "linux",
    uid: 0,
    hasApt: true,
    hasGo: true,
    memory: 24 * gib,
    startedBefore: false,
    disks: [{ path: "/var/lib/berth", variable: "BERTH_STATE", free: 75 * gib }],
    tcpListeners: [{ port: 22, pid: 1, program: "sshd" }],
    containerd: undefined,
};
describe("preflight", () => {
    it("finds nothing wrong with a machine that has what it takes", () => {
        expect(findFault(good)).toBeUndefined();
    });
    const small = { path: "/var/lib/berth", variable: "BERTH_STATE", free: 4 * gib };
    it.each([
        ["another system", { platform: "darwin" }, /needs Linux, and this is darwin: .*--context NAME/],
        ["another user", { uid: 1000 }, /run the command as root/],
        ["another distribution", { hasApt: false }, /use Debian 12/],
        ["no Go", { hasGo: false }, /go is not on the PATH: install Go/],
        ["little memory", { memory: 2 * gib }, /needs 6.0 GiB of memory, and this machine has 2.0 GiB/],
        [
            "a full disk",
            { disks: [small] },
            /needs 15.0 GiB on the disk of \/var\/lib\/berth, and 4.0 GiB are free: .*BERTH_STATE/,
        ],
        [
            "a taken port",
            { tcpListeners: [{ port: 6443, pid: 7, program: "k3s" }] },
            /Port 6443.*taken by k3s \(pid 7\): stop that/,
        ],
        [
            "a taken socket",
            { containerd: { pid: 8, program: "containerd" } },
            /containerd.sock.*taken by containerd \(pid 8\)/,
        ],
    ])("names %s and what to do", (_, change, sentence) => {
        expect(findFault({ ...good, ...change })).toMatch(sentence);
    });
    it("asks for less disk where a cluster has been started before", () => {
        expect(findFault({ ...good, disks: [small], startedBefore: true })).toBeUndefined();
    });
});
describe("listeners", () => {
    const line = (address, state, inode) => `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0000 100 0 0 10 0`;
    it("are those on all addresses, on loopback and on the node's address", () => {
        const table = [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
            line("00000000:192B", "0A", 11),
            line("0100007F:1388", "0A", 12),
            line("0100C80A:280A", "0A", 13),
            line("00000000000000000000000000000000:7580", "0A", 14),
            line("0200A8C0:094B", "0A", 15),
            line("0100007F:094B", "01", 16),
        ].join("\n");
        expect(parseTcp(table, "10.200.0.1")).toEqual([
            { port: 6443, inode: "11" },
            { port: 5000, inode: "12" },
            { port: 10250, inode: "13" },
            { port: 30080, inode: "14" },
        ]);
    });
    it("of a Unix socket are told from those who are connected to it", () => {
        const table = [
            "0000: 00000003 00000000 00000000 0001 03 21 /run/containerd/containerd.sock",
            "0000: 00000002 00000000 00010000 0001 01 22 /run/containerd/containerd.sock",
        ].join("\n");
        expect(parseUnix(table, "/run/containerd/containerd.sock")).toBe("22");
        expect(parseUnix(table, "/run/other.sock")).toBeUndefined();
    });
});
describe("packages", () => {
    it("are missing unless they are fully installed", () => {
        const lines = "runc\tii \nkmod\trc \nopenssl\tiU ";
        expect(missingPackages(["runc", "kmod", "openssl", "etcd-server"], lines)).toEqual([
            "kmod",
            "openssl",
            "etcd-server",
        ]);
    });
});
