/**
 * A stock Debian that runs systemd as its first process: a container of systemd-nspawn, with network, control groups and files
 * of its own. By a network in user space (slirp4netns) it reaches what this machine reaches, and nothing of the machine's is
 * changed for it.
 */

import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { execa, type Options } from "execa";
import { onPath } from "../../local/host/machine.ts";
import { inCgroup, removeCgroup } from "../../local/lib/cgroups.ts";
import { cacheDir, root } from "../../local/lib/paths.ts";
import { childrenOf } from "../../local/lib/process.ts";
import { debianRoot } from "./debian-root.ts";

/** The checkout, as the container sees it. */
const checkout = "/root/berth";
const cache = "/root/.cache/berth";
const trust = "/etc/ssl/certs/ca-certificates.crt";
/** slirp4netns answers for this machine's resolvers there. */
const resolver = "10.0.2.3";

/** Why no such Debian can be started here; undefined if it can. */
export function hindrance(): string | undefined {
  const missing = ["mmdebstrap", "systemd-nspawn", "slirp4netns", "go", "npm"].filter((program) => !onPath(program));
  if (missing.length > 0)
    return `${missing.join(", ")} not there (Debian's packages mmdebstrap, systemd-container, slirp4netns)`;
  if (existsSync("/sys/fs/cgroup/cgroup.procs"))
    return "the container's control groups are made for version 1, and this machine has version 2";
  return undefined;
}

export interface Debian extends AsyncDisposable {
  /** Runs a command line as a service of its own, as root, in the checkout. What the command writes is shown too. */
  run(command: string, options?: Options): Promise<string>;
}

/** Starts a fresh copy of the root. The checkout and the cache are there; what is written to them goes with the container. */
export async function boot(release: string): Promise<Debian> {
  const name = `berth-${release}`;
  await using started = new AsyncDisposableStack();
  // Not below /tmp, which may be memory.
  const folder = mkdtempSync("/var/tmp/berth-debian-");
  started.defer(() => rmSync(folder, { recursive: true, force: true }));
  const machine = join(folder, "root");
  await execa("cp", ["--archive", await debianRoot(release), machine]);
  const npm = dirname(dirname((await execa("realpath", [(await execa("which", ["npm"])).stdout])).stdout));
  furnish(machine);

  const { stdout: go } = await execa("go", ["env", "GOROOT"]);
  const options = [
    ...["--boot", "--register=no", "--keep-unit", "--private-network", "--console=pipe", "--resolv-conf=off"],
    ...["--quiet", `--machine=${name}`, `--directory=${machine}`],
    // What a machine's root has, and containers need.
    ...["--capability=CAP_SYSLOG", "--bind=/dev/kmsg"],
    ...[`--overlay=${root}::${checkout}`, `--overlay=${cacheDir}::${cache}`],
    ...[`--bind-ro=${go}:/usr/local/go`, `--bind-ro=${npm}:/usr/local/lib/node_modules/npm`],
  ];
  // From systemd 256 on, version 1 of control groups wants to be asked for; older ones don't know the word.
  const init = ["SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"];
  started.defer(() => removeCgroup(name));
  const [program = "", ...args] = inCgroup(name, ["systemd-nspawn", ...options, ...init]);
  const container = execa(program, args, {
    env: { SYSTEMD_SECCOMP: "0", TMPDIR: folder },
    stdin: "ignore",
    all: true,
    reject: false,
  });
  started.defer(async () => {
    container.kill(); // by which it shuts down in order
    await container;
  });
  const ended = container.then(({ all }) => Promise.reject(new Error(`the container has ended: ${all}`)));
  ended.catch(() => {}); // as it does in the end

  const first = () => childrenOf(Number(container.pid)).find((pid) => pid > 0);
  const enter = (...command: string[]) => ["nsenter", `--target=${first()}`, "--all", "--", ...command] as const;
  const within = async (...command: string[]) => {
    const [program, ...args] = enter(...command);
    return (await execa(program, args, { reject: false, all: true })).all;
  };
  const booted = until(
    `Debian ${release} has started`,
    120,
    () => within("systemctl", "is-system-running"),
    (state) => state === "running" || state === "degraded",
  );
  await Promise.race([ended, booted]);
  // As on a machine.
  await within("sh", "-c", "for dir in /sys/fs/cgroup/*; do mount -o remount,bind,rw $dir; done");

  const network = execa("slirp4netns", ["--configure", "--disable-host-loopback", `${first()}`, "tap0"], {
    reject: false,
  });
  started.defer(async () => {
    network.kill();
    await network;
  });
  const route = () => within("cat", "/proc/net/route");
  await until("the container has a network", 30, route, (routes) => routes?.includes("tap0") ?? false);

  const all = started.move();
  return {
    run: async (command, options) => {
      const [program, ...args] = enter(...service, "sh", "-c", command);
      const { stdout } = await execa(program, args, { stdio: ["ignore", ["inherit", "pipe"], "inherit"], ...options });
      return `${stdout}`;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** What somebody who has cloned Berth has: Node with npm, names of hosts, and the machine's own authorities. */
function furnish(machine: string): void {
  writeFileSync(join(machine, "etc/resolv.conf"), `nameserver ${resolver}\n`);
  writeFileSync(join(machine, "etc/hosts"), "127.0.0.1 localhost\n");
  if (existsSync(trust)) cpSync(trust, join(machine, trust));
  mkdirSync(join(machine, cache), { recursive: true });
  const bin = join(machine, "usr/local/bin");
  symlinkSync(join(checkout, "node_modules/node/bin/node"), join(bin, "node"));
  for (const program of ["npm", "npx"])
    symlinkSync(`../lib/node_modules/npm/bin/${program}-cli.js`, join(bin, program));
}

/** As by a login: a service of its own, with root's usual environment. */
const service = [
  ...["systemd-run", "--quiet", "--wait", "--pipe", "--collect", `--working-directory=${checkout}`],
  ...["--setenv=HOME=/root", `--setenv=NODE_EXTRA_CA_CERTS=${trust}`],
  "--setenv=PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
];
