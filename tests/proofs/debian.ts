/**
 * A stock Debian that runs systemd as its first process: a container of systemd-nspawn, with network, control groups and files
 * of its own. By a network in user space (slirp4netns) it reaches what this machine reaches, and nothing of the machine's is
 * changed for it.
 */

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { execa, type Options } from "execa";
import { onPath } from "../../local/host/machine.ts";
import { inCgroup, removeCgroup } from "../../local/lib/cgroups.ts";
import { childrenOf } from "../../local/lib/process.ts";
import { machine, root } from "../../machine/machine.ts";
import { cache, checkout, debianRoot, furnish, trust } from "./debian-root.ts";

const { cacheDir } = machine;

const goRoot = "/usr/local/go";
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
  /** Runs a command line as a service of its own, as root, in the checkout, and shows what the command writes. */
  run(command: string): Promise<string>;
  /** The same, and shows nothing. */
  ask(command: string): Promise<string>;
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
  await furnish(machine);
  writeFileSync(join(machine, "etc/resolv.conf"), `nameserver ${resolver}\n`);
  for (const path of [checkout, cache, goRoot]) mkdirSync(join(machine, path), { recursive: true });

  const { stdout: go } = await execa("go", ["env", "GOROOT"]);
  const options = [
    ...["--boot", "--register=no", "--keep-unit", "--private-network", "--console=pipe", "--resolv-conf=off"],
    ...["--quiet", `--machine=${name}`, `--directory=${machine}`],
    // What a machine's root has, and containers need.
    ...["--capability=CAP_SYSLOG", "--bind=/dev/kmsg"],
    ...[`--overlay=${root}::${checkout}`, `--overlay=${cacheDir}::${cache}`],
    `--bind-ro=${go}:${goRoot}`,
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

  const runWith = (shown: Options) => async (command: string) => {
    const [program, ...args] = enter(...service, "sh", "-c", command);
    return `${(await execa(program, args, { stdin: "ignore", ...shown })).stdout}`;
  };
  const all = started.move();
  return {
    run: runWith({ stdout: ["inherit", "pipe"], stderr: "inherit" }),
    ask: runWith({}),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** As by a login: a service of its own, with root's usual environment. */
const service = [
  ...["systemd-run", "--quiet", "--wait", "--pipe", "--collect", `--working-directory=${checkout}`],
  ...["--setenv=HOME=/root", `--setenv=NODE_EXTRA_CA_CERTS=${trust}`],
  `--setenv=PATH=${goRoot}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
];
