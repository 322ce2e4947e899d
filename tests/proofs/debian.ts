/**
 * An unmodified Debian with systemd as its first process. It runs in a systemd-nspawn container with its own network,
 * cgroups and files. A network in user space (slirp4netns) lets the container reach everything that this machine reaches,
 * without a change of the machine's network.
 */

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { execa, type Options } from "execa";
import { onPath } from "../../local/host/inspect.ts";
import { inCgroup, removeCgroup } from "../../local/lib/cgroups.ts";
import { childrenOf } from "../../local/lib/process.ts";
import { machine, root } from "../../machine/machine.ts";
import { cache, checkout, debianRoot, furnish, trust } from "./debian-root.ts";

const { cacheDir } = machine;

const goRoot = "/usr/local/go";
/** The address at which slirp4netns forwards DNS queries to this machine's resolvers. */
const resolver = "10.0.2.3";

/** Returns a text that says why this machine can't start such a Debian; undefined if the machine can start one. */
export function hindrance(): string | undefined {
  const missing = ["mmdebstrap", "systemd-nspawn", "slirp4netns", "go", "npm"].filter((program) => !onPath(program));
  if (missing.length > 0)
    return `this machine lacks ${missing.join(", ")} (Debian's packages mmdebstrap, systemd-container, slirp4netns)`;
  if (existsSync("/sys/fs/cgroup/cgroup.procs")) return "the container needs cgroup v1, and this machine has cgroup v2";
  return undefined;
}

export interface Debian extends AsyncDisposable {
  /** Runs a command line as root in the checkout, as a separate service, and prints the output of the command. */
  run(command: string): Promise<string>;
  /** Runs a command line in the same way, but prints nothing. */
  ask(command: string): Promise<string>;
}

/**
 * Starts a container with a fresh copy of the root file system. Changes of the checkout and the cache are lost when the
 * container ends.
 */
export async function boot(release: string): Promise<Debian> {
  const name = `berth-${release}`;
  await using started = new AsyncDisposableStack();
  // The folder is not below /tmp, because /tmp may be in memory.
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
    // These options give the container what root has on a real machine.
    ...["--capability=CAP_SYSLOG", "--bind=/dev/kmsg"],
    ...[`--overlay=${root}::${checkout}`, `--overlay=${cacheDir}::${cache}`],
    `--bind-ro=${go}:${goRoot}`,
  ];
  // systemd 256 and later supports cgroup v1 only with this setting. Older versions ignore it.
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
    container.kill(); // SIGTERM makes the container shut down properly
    await container;
  });
  const ended = container.then(({ all }) => Promise.reject(new Error(`the container has ended: ${all}`)));
  ended.catch(() => {}); // the container always ends, at the latest in the clean-up

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
  // On a real machine the cgroups are writable.
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

/** Runs a command as a login would: as a separate service, with root's usual environment. */
const service = [
  ...["systemd-run", "--quiet", "--wait", "--pipe", "--collect", `--working-directory=${checkout}`],
  ...["--setenv=HOME=/root", `--setenv=NODE_EXTRA_CA_CERTS=${trust}`],
  `--setenv=PATH=${goRoot}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
];
