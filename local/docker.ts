/**
 * The Docker daemon that builds the images: our own instance beside whatever else runs on the machine, with its own containerd.
 * Its processes and mounts are in namespaces that end with it. Builds and containers use the machine's network
 * (`--network host`), as they need what pods must not have. It has no bridge and writes no iptables rule.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { machine } from "../machine/machine.ts";
import { inCgroup, removeCgroup } from "./lib/cgroups.ts";
import { type Daemon, fingerprint, fingerprintOf, pidOf, start, stop, waitFor } from "./lib/process.ts";
import { stopSignal } from "./lib/steps.ts";

const { bridge, bridgeIp, dockerSocket, name, runDir, stateDir } = machine;

const dataDir = join(stateDir, "docker");
const execDir = join(runDir, "docker");
const pidFile = join(runDir, "dockerd.pid");
const containerdSocket = join(execDir, "containerd.sock");
/** Of its own, so that it can be removed. */
const cgroup = `${name}-docker`;
const configFile = join(stateDir, "etc", "docker.json");
/** What Docker writes into /etc/docker; it reads what the machine has there, such as the certificates of registries. */
const etcDir = join(runDir, "docker-etc");
const containerdConfigFile = join(stateDir, "etc", "docker-containerd.toml");

/**
 * In a file of its own: settings in the machine's /etc/docker/daemon.json would contradict flags. Pure.
 * @param help what `dockerd --help` says: the daemon does not start with a setting that it doesn't know
 */
export const daemonConfig = (help: string) => ({
  hosts: [`unix://${dockerSocket}`],
  "data-root": dataDir,
  "exec-root": execDir,
  pidfile: pidFile,
  // Named, or dockerd would share the one at the default address: the cluster's, or the machine's own.
  containerd: containerdSocket,
  "cgroup-parent": `/${cgroup}`,
  // The default where systemd runs takes no such parent.
  "exec-opts": ["native.cgroupdriver=cgroupfs"],
  // There only while the daemon starts. With `none` the daemon would delete `docker0`, which is another Docker's.
  bridge,
  iptables: false,
  ip6tables: false,
  "ip-forward": false,
  "ip-masq": false,
  "userland-proxy": false,
  // Up to Docker 24 the default is -500, which needs CAP_SYS_RESOURCE, and root lacks that on some machines.
  ...(help.includes("--oom-score-adjust") && { "oom-score-adjust": 0 }),
  // Builds leave layers behind for the next build; more than this isn't worth its disk space.
  builder: { gc: { enabled: true, defaultKeepStorage: "5GB" } },
});

const containerdConfig = `version = 2
root = "${join(dataDir, "containerd")}"
state = "${join(execDir, "containerd")}"
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[plugins."io.containerd.internal.v1.opt"]
  path = "${join(dataDir, "opt")}"
[grpc]
  address = "${containerdSocket}"
[debug]
  level = "warn"
`;

/** The first process of the namespaces hands SIGTERM to the daemon, and ends after it. */
const [command = "", ...args] = inCgroup(cgroup, [
  ...["/usr/bin/unshare", "--mount", "--propagation=slave", "--pid", "--fork", "--kill-child", "--mount-proc"],
  ...["sh", "-c"],
  // There are sockets of shims and plugins, and up to Docker 24 a key, whatever the settings say.
  `mkdir -p /run/containerd /run/docker /etc/docker ${etcDir}/new ${etcDir}/work
   for dir in containerd docker; do mount -t tmpfs tmpfs /run/$dir; done
   mount -t overlay overlay -o lowerdir=/etc/docker,upperdir=${etcDir}/new,workdir=${etcDir}/work /etc/docker
   containerd --config=${containerdConfigFile} &
   dockerd --config-file=${configFile} &
   trap "kill -TERM $!" TERM
   wait $! || wait $!`,
]);
const daemon: Daemon = { name: "docker", command, args, files: [configFile, containerdConfigFile] };

/** For programs that talk to this daemon: DOCKER_HOST. */
export const dockerHost = `unix://${dockerSocket}`;

/**
 * Runs Debian's docker client against this daemon and returns its output. Builds go through the daemon's BuildKit: Debian
 * 12's client speaks to it by itself, that of Debian 13 by the buildx plugin. A newer one on the PATH may lack that.
 */
export async function docker(args: string[], options: { cwd?: string; timeout?: number } = {}): Promise<string> {
  const env = {
    DOCKER_HOST: dockerHost,
    DOCKER_BUILDKIT: "1",
    BUILDKIT_PROGRESS: "plain",
    BUILDX_CONFIG: join(runDir, "buildx"), // in place of root's home
  };
  const { stdout } = await execa("/usr/bin/docker", args, {
    ...options,
    env,
    stdin: "ignore",
    cancelSignal: stopSignal(),
  });
  return stdout;
}

/**
 * Starts the daemon and its containerd unless they run as they should, and waits until it answers. Returns whether it was
 * started.
 */
export async function startDocker(): Promise<boolean> {
  for (const dir of [dirname(configFile), execDir]) mkdirSync(dir, { recursive: true });
  writeFileSync(containerdConfigFile, containerdConfig);
  const { stdout: help } = await execa("dockerd", ["--help"]);
  writeFileSync(configFile, JSON.stringify(daemonConfig(help), null, 2));
  const mark = fingerprint(daemon);
  if (fingerprintOf(daemon.name) !== mark) {
    await stopDocker(); // also of a start that was interrupted
    await execa("ip", ["link", "add", bridge, "type", "bridge"]);
    await execa("ip", ["address", "add", `${bridgeIp}/30`, "dev", bridge]);
  }
  const runs = () => pidOf(daemon.name) !== undefined;
  const started = start(daemon, mark);
  await waitFor("The Docker daemon", 60, answers, { name: daemon.name, runs });
  await removeBridge();
  return started;
}

/** Ends the daemon with its containers and its containerd; images and build cache are kept. */
export async function stopDocker(): Promise<void> {
  await stop(daemon.name, 20_000);
  await removeBridge();
  // The number in the one may belong to another process by now, for which a new daemon would refuse to start.
  for (const file of [pidFile, dockerSocket]) rmSync(file, { force: true });
  removeCgroup(cgroup);
}

/** "running", "stopped", or "not answering" for a process that lives but doesn't serve. */
export async function dockerStatus(): Promise<"running" | "stopped" | "not answering"> {
  if (pidOf(daemon.name) === undefined) return "stopped";
  return (await answers()) ? "running" : "not answering";
}

const removeBridge = () => execa("ip", ["link", "delete", bridge], { reject: false });

function answers(): Promise<boolean> {
  return new Promise((resolve) => {
    const ping = request({ socketPath: dockerSocket, path: "/_ping", timeout: 2_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on("timeout", () => ping.destroy());
    ping.on("error", () => resolve(false));
    ping.end();
  });
}
