/** Which processes listen where, from /proc: there may be no ss on the machine yet. */
import { globSync, readFileSync, readlinkSync } from "node:fs";
/** The TCP listeners that would be in the way of one on all addresses, on loopback or on `nodeIp`. */
export function tcpListeners(nodeIp) {
    const tables = ["tcp", "tcp6"].map((name) => read(`/proc/net/${name}`)).join("\n");
    const owners = socketOwners();
    return parseTcp(tables, nodeIp).map(({ port, inode }) => ({ port, ...describe(owners.get(inode)) }));
}
/** Who listens on the Unix socket, or undefined if nobody does. */
export function unixListener(path) {
    const inode = parseUnix(read("/proc/net/unix"), path);
    return inode === undefined ? undefined : describe(socketOwners().get(inode));
}
const listening = "0A";
/** All addresses or loopback, in the kernel's hexadecimal notation. */
const anyOrLoopback = /^(0+|[0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F)$/;
/** The listening sockets of a /proc/net/tcp or tcp6 table, by port and inode. Pure. */
export function parseTcp(table, nodeIp) {
    const node = Buffer.from(nodeIp.split(".").map(Number).reverse()).toString("hex").toUpperCase();
    return table.split("\n").flatMap((line) => {
        const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
        const [address, port] = local?.split(":") ?? [];
        if (state !== listening || address === undefined || port === undefined || inode === undefined)
            return [];
        if (!anyOrLoopback.test(address) && address !== node)
            return [];
        return [{ port: Number.parseInt(port, 16), inode }];
    });
}
/** The inode of the socket that accepts connections on `path`, given the /proc/net/unix table. Pure. */
export function parseUnix(table, path) {
    const accepting = "00010000";
    for (const line of table.split("\n")) {
        const [, , , flags, , , inode, name] = line.trim().split(/\s+/);
        if (name === path && flags === accepting)
            return inode;
    }
    return undefined;
}
/** The process that holds each socket, by inode. */
function socketOwners() {
    const owners = new Map();
    for (const fd of globSync("/proc/[0-9]*/fd/*")) {
        const inode = link(fd).match(/^socket:\[(\d+)\]$/)?.[1];
        if (inode !== undefined)
            owners.set(inode, Number(fd.split("/")[2]));
    }
    return owners;
}
function describe(pid) {
    return { pid, program: pid === undefined ? undefined : read(`/proc/${pid}/comm`).trim() };
}
function link(path) {
    try {
        return readlinkSync(path);
    }
    catch {
        return "";
    }
}
function read(path) {
    try {
        return readFileSync(path, "utf8");
    }
    catch {
        return "";
    }
}
