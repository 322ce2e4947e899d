/** The guard: nothing from pods, and nothing for pod or service addresses, may leave the machine. */
import { createHash } from "node:crypto";
import { execa } from "execa";
import { podCidr, serviceCidr } from "../lib/paths.ts";
const table = "inet berth_guard";
/**
 * The nftables rules. `refused` counts what pods tried to send out, which is rejected. `leaked` counts (and drops) what
 * would have left all the same: it sits behind everything else, looks at the connection's first address too, which
 * masquerading doesn't change, and must stay zero.
 */
export function guardRules() {
    return `  counter refused { }
  counter leaked { }
  set inside { type ifname; elements = { "lo", "cni0", "kube0" }; }
  set cluster { type ipv4_addr; flags interval; elements = { ${podCidr}, ${serviceCidr} }; }
  chain refuse {
    counter name refused
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }
  chain outgoing {
    oifname @inside accept
    iifname { "cni0", "kube0" } jump refuse
    ip saddr @cluster jump refuse
    ip daddr @cluster jump refuse
  }
  chain forward { type filter hook forward priority -10; policy accept; jump outgoing; }
  chain output { type filter hook output priority -10; policy accept; jump outgoing; }
  chain leaving {
    type filter hook postrouting priority 300; policy accept;
    oifname @inside accept
    iifname { "cni0", "kube0" } counter name leaked drop
    ip saddr @cluster counter name leaked drop
    ip daddr @cluster counter name leaked drop
    ct original ip saddr @cluster counter name leaked drop
  }
`;
}
/** Puts the guard up unless these very rules are there; replaces others in one transaction. */
export async function raiseGuard() {
    const rules = guardRules();
    const version = createHash("sha256").update(rules).digest("hex").slice(0, 16);
    const current = await execa("nft", ["list", "table", ...table.split(" ")], { reject: false });
    if (current.stdout.includes(`comment "${version}"`))
        return;
    const input = `add table ${table}\ndelete table ${table}\ntable ${table} {\n  comment "${version}"\n${rules}}\n`;
    await execa("nft", ["-f", "-"], { input });
}
/** Takes the guard down; only when nothing of the cluster is left. */
export async function lowerGuard() {
    await execa("nft", ["delete", "table", ...table.split(" ")], { reject: false });
}
/** Packets that the guard has refused, and that have passed it (must be 0). Throws if the guard isn't up. */
export async function guardCounters() {
    const { stdout } = await execa("nft", ["-j", "list", "counters", "table", ...table.split(" ")]);
    const entries = JSON.parse(stdout).nftables;
    const packets = (name) => {
        const entry = entries.find(({ counter }) => counter?.name === name)?.counter;
        if (entry === undefined)
            throw new Error(`the guard (nft table ${table}) is not up`);
        return entry.packets;
    };
    return { refused: packets("refused"), leaked: packets("leaked") };
}
