/**
 * The Docker daemon that builds the images: Debian's, but our own instance beside whatever else runs on the machine.
 * It starts its own containerd, so neither the cluster nor a Docker of the user's is touched. It has no bridge and
 * writes no iptables rule: builds and containers use the host's network (`--network host`).
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { removeCgroup } from "./lib/cgroups.ts";
import { unmountUnder } from "./lib/mounts.ts";
import { dockerSocket, runDir, stateDir } from "./lib/paths.ts";
import { logFile, pidOf, readProc, start, stop } from "./lib/process.ts";
import { stopSignal, UserError } from "./lib/steps.ts";

const name = "docker";
const containerdName = "docker-containerd";
const dataDir = join(stateDir, "docker");
const execDir = join(runDir, "docker");
const pidFile = join(runDir, "dockerd.pid");
const containerdSocket = join(execDir, "containerd.sock");
/** Of its own, so that it can be removed. */
const cgroup = "berth-docker";
const configFile = join(stateDir, "etc", "docker.json");
const containerdConfigFile = join(stateDir, "etc", "docker-containerd.toml");

/** In a file of its own: settings in the machine's /etc/docker/daemon.json would contradict flags. */
const config = {
  hosts: [`unix://${dockerSocket}`],
  "data-root": dataDir,
  "exec-root": execDir,
  pidfile: pidFile,
  // Named, or dockerd would share the one at the default address: the cluster's, or the machine's own.
  containerd: containerdSocket,
  "cgroup-parent": `/${cgroup}`,
  bridge: "none",
  iptables: false,
  ip6tables: false,
  "ip-forward": false,
  "ip-masq": false,
  "userland-proxy": false,
  // The default of -500 needs CAP_SYS_RESOURCE, which root lacks on some machines.
  "oom-score-adjust": 0,
  // Builds leave layers behind for the next build; more than this isn't worth its disk space.
  builder: { gc: { enabled: true, defaultKeepStorage: "5GB" } },
};

const containerdConfig = `version = 2
root = "${join(dataDir, "containerd")}"
state = "${join(execDir, "containerd")}"
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${containerdSocket}"
[debug]
  level = "warn"
`;

/** For programs that talk to this daemon: DOCKER_HOST. */
export const dockerHost = `unix://${dockerSocket}`;

/**
 * Runs Debian's docker client against this daemon and returns its output. Builds go through the daemon's BuildKit:
 * that client speaks to it without the buildx plugin, which a newer one on the PATH may lack.
 */
export async function docker(args: string[], options: { cwd?: string; timeout?: number } = {}): Promise<string> {
  const env = { DOCKER_HOST: dockerHost, DOCKER_BUILDKIT: "1", BUILDKIT_PROGRESS: "plain" };
  const { stdout } = await execa("/usr/bin/docker", args, {
    ...options,
    env,
    stdin: "ignore",
    cancelSignal: stopSignal(),
  });
  return stdout;
}

/** Starts the daemon and its containerd unless they run, and waits until it answers. Returns whether it was started. */
export async function startDocker(): Promise<boolean> {
  if (pidOf(name) === undefined) await clearLeftovers();
  for (const dir of [dirname(configFile), execDir]) mkdirSync(dir, { recursive: true });
  writeFileSync(containerdConfigFile, containerdConfig);
  writeFileSync(configFile, JSON.stringify(config, null, 2));
  start({ name: containerdName, command: "/usr/bin/containerd", args: [`--config=${containerdConfigFile}`] });
  const started = start({ name, command: "/usr/sbin/dockerd", args: [`--config-file=${configFile}`] });
  const deadline = performance.now() + 60_000;
  while (!(await answers())) {
    if (pidOf(name) === undefined || performance.now() > deadline)
      throw new UserError(`The Docker daemon doesn't start. Its log ${logFile(name)} says why.`);
    await sleep(100);
  }
  return started;
}

/** Ends the daemon with its containers and its containerd; images and build cache are kept. */
export async function stopDocker(): Promise<void> {
  // A killed daemon leaves its containers running; a new one ends them.
  if (pidOf(name) === undefined && processes(execDir).length > 0) await startDocker();
  await stop(name, 20_000);
  await stop(containerdName);
  await clearLeftovers();
}

/** "running", "stopped", or "not answering" for a process that lives but doesn't serve. */
export async function dockerStatus(): Promise<"running" | "stopped" | "not answering"> {
  if (pidOf(name) === undefined || pidOf(containerdName) === undefined) return "stopped";
  return (await answers()) ? "running" : "not answering";
}

/** Ends the daemon and removes its images, its state and its mounts. */
export async function purgeDocker(): Promise<void> {
  await stopDocker();
  for (const dir of [dataDir, execDir]) rmSync(dir, { recursive: true, force: true });
  removeCgroup(cgroup);
}

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

/**
 * What a daemon leaves that was killed or that the machine's reboot ended: mounts, and pid files whose number may belong
 * to another process by now, for which a new daemon would refuse to start.
 */
async function clearLeftovers(): Promise<void> {
  await unmountUnder([dataDir, execDir]);
  for (const file of [pidFile, dockerSocket]) rmSync(file, { force: true });
}

/** The pids of the processes, other than this one, whose command line names `path` or something below it. */
function processes(path: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter(
      (pid) =>
        pid !== process.pid && readProc(pid, "cmdline").some((arg) => arg === path || arg.startsWith(`${path}/`)),
    );
}
