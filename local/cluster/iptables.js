/** Takes Kubernetes' rules out of iptables, and nothing else. */
import { execa } from "execa";
const ours = /^(KUBE|CNI)-/;
/**
 * What to feed to `iptables-restore --noflush` to remove every chain of Kubernetes and CNI and all rules that jump to
 * them, given `iptables-save`'s output. Pure. Empty if there is nothing to remove.
 */
export function removal(saved) {
    const tables = [];
    for (const part of saved.split(/^(?=\*)/m)) {
        const lines = part.split("\n");
        const table = lines[0];
        if (!table?.startsWith("*"))
            continue;
        const chains = lines.flatMap((line) => line.match(/^:(\S+)/)?.[1] ?? []).filter((chain) => ours.test(chain));
        if (chains.length === 0)
            continue;
        const jumps = lines
            .filter((line) => line.startsWith("-A ") && !ours.test(line.split(" ")[1] ?? ""))
            .filter((line) => ours.test(line.match(/ -[jg] (\S+)/)?.[1] ?? ""))
            .map((line) => line.replace(/^-A/, "-D"));
        // declared again they are emptied, and only then, no longer referred to, can they go
        const emptied = chains.map((chain) => `:${chain} - [0:0]`);
        tables.push([table, ...emptied, ...jumps, ...chains.map((chain) => `-X ${chain}`), "COMMIT"].join("\n"));
    }
    return tables.length === 0 ? "" : `${tables.join("\n")}\n`;
}
/** Removes Kubernetes' rules from IPv4 and IPv6, and tables that are left without any rule and chain of anyone's. */
export async function clearIptables() {
    for (const [command, family] of [
        ["iptables", "ip"],
        ["ip6tables", "ip6"],
    ]) {
        // fails where it isn't installed or the kernel has no such family: then there is nothing to remove
        const saved = await execa(`${command}-save`, { reject: false });
        const input = saved.failed ? "" : removal(saved.stdout);
        if (input !== "")
            await execa(`${command}-restore`, ["--noflush"], { input });
        for (const table of ["filter", "nat", "mangle", "raw"])
            await deleteIfBare(family, table);
    }
}
/** With iptables on nftables, an empty table with accepting chains is what iptables leaves after its last rule. */
async function deleteIfBare(family, table) {
    const { stdout, failed } = await execa("nft", ["list", "table", family, table], { reject: false });
    if (!failed && isBare(stdout))
        await execa("nft", ["delete", "table", family, table], { reject: false });
}
/** Whether a table, as nft lists it, holds nothing but base chains that accept everything. Pure. */
export function isBare(listing) {
    const lines = listing.split("\n").map((line) => line.trim());
    return lines.every((line) => /^($|#|\}|table |chain \S+ \{$|type \S+ hook .*policy accept;$)/.test(line));
}
