/** A snapshot of everything on the machine that Berth must not change. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { execa } from "execa";

/** Kernel settings that Kubernetes, its network plugins, Docker and containerd are known to change. */
const sysctls = [
  "fs/inotify/max_user_instances",
  "fs/inotify/max_user_watches",
  "kernel/keys/root_maxbytes",
  "kernel/keys/root_maxkeys",
  "kernel/panic",
  "kernel/panic_on_oops",
  "net/bridge/bridge-nf-call-arptables",
  "net/bridge/bridge-nf-call-ip6tables",
  "net/bridge/bridge-nf-call-iptables",
  "net/core/somaxconn",
  "net/ipv4/conf/*/{forwarding,route_localnet,rp_filter,arp_ignore}",
  "net/ipv4/ip_forward",
  "net/ipv4/ip_local_port_range",
  "net/ipv4/vs/*",
  "net/ipv6/conf/*/{accept_ra,disable_ipv6,forwarding}",
  "net/netfilter/nf_conntrack_max",
  "net/netfilter/nf_conntrack_tcp_{be_liberal,timeout_close_wait,timeout_established}",
  "vm/max_map_count",
  "vm/overcommit_memory",
  "vm/panic_on_oom",
];

/** Folders in which Kubernetes, its network plugins, Docker and containerd create files, whatever their configuration is. */
const places = ["/etc/cni", "/etc/docker/key.json", "/opt/*", "/run/netns", "/var/lib/cni", "/var/lib/kubelet"];

export type Snapshot = Record<string, string[]>;

/** @param berth the name of the Berth whose interface, routes and mounts are ignored */
export async function snapshot(berth: string): Promise<Snapshot> {
  const lines = async (program: string, ...args: string[]) =>
    ((await execa(program, args, { reject: false })).stdout ?? "").split("\n").filter(Boolean); // the program may not be installed
  const ours = new RegExp(`\\b(dev|if)?${berth}\\b`);
  const notOurs = (line: string) => !ours.test(line);
  const rules = async (program: string) =>
    (await lines(program)).filter((line) => !line.startsWith("#")).map((line) => line.replace(/ \[\d+:\d+\]$/, ""));
  return {
    iptables: await rules("iptables-save"),
    ip6tables: await rules("ip6tables-save"),
    nftables: await lines("nft", "--stateless", "list", "ruleset"),
    routes: (await lines("ip", "-4", "route", "show", "table", "all")).filter(notOurs),
    // Link-local routes appear a few seconds after their interface, so they are ignored.
    "routes of IPv6": (await lines("ip", "-6", "route", "show", "table", "all"))
      .filter(notOurs)
      .filter((line) => !line.includes("fe80:")),
    rules: await lines("ip", "rule", "list"),
    links: (await lines("ip", "-brief", "link")).filter(notOurs),
    addresses: (await lines("ip", "-brief", "-4", "address")).filter(notOurs),
    sysctls: sysctls
      .flatMap((pattern) => globSync(`/proc/sys/${pattern}`).sort())
      .filter(notOurs)
      .map((file) => `${file} ${readFileSync(file, "utf8").trim()}`),
    mounts: readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter(notOurs),
    services: existsSync("/run/systemd/system")
      ? await lines("systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--plain")
      : [],
    files: places.flatMap((place) => globSync(`${place}{,/*}`)).sort(),
    sockets: await lines("ss", "--no-header", "--listening", "--tcp", "--udp", "--numeric", "--processes"),
  };
}

/** Returns the differences by kind: lines that were added (+) and lines that were removed (-). The function is pure. */
export function changesBetween(before: Snapshot, now: Snapshot): Record<string, string[]> {
  const kinds = Object.keys(now).map((kind): [string, string[]] => {
    const [old, young] = [before[kind] ?? [], now[kind] ?? []];
    const added = young.filter((line) => !old.includes(line)).map((line) => `+ ${line}`);
    return [kind, [...added, ...old.filter((line) => !young.includes(line)).map((line) => `- ${line}`)]];
  });
  return Object.fromEntries(kinds.filter(([, lines]) => lines.length > 0));
}
