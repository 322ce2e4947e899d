/**
 * Berth's own Docker daemon, which builds the images. The daemon has its own containerd, and does not disturb other Docker
 * daemons on the machine. Its processes and mounts are in namespaces that end with the daemon. Builds use the machine's network
 * (`--network host`), because builds need access to the internet, which pods must not have. The daemon writes no iptables rule.
 * The daemon has a bridge only while it starts.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa, type Options } from "execa";
import { machine } from "../machine/machine.ts";
import { inCgroup, removeCgroup } from "./lib/cgroups.ts";
import { type Daemon, fingerprint, fingerprintOf, runs, start, stop, waitFor } from "./lib/process.ts";
import { stopSignal } from "./lib/steps.ts";

const { bridge, bridgeIp, dockerSocket, name, runDir, stateDir } = machine;

const dataDir = join(stateDir, "docker");
const execDir = join(runDir, "docker");
const pidFile = join(runDir, "dockerd.pid");
const containerdSocket = join(execDir, "containerd.sock");
/** The daemon's own control group, so that `stopDocker` can remove it. */
const cgroup = `${name}-docker`;
const configFile = join(stateDir, "etc", "docker.json");
/**
 * The folder for files that Docker writes to /etc/docker. An overlay keeps these files out of the machine's /etc/docker. Docker
 * still reads the machine's files in /etc/docker, such as the certificates of registries.
 */
const etcDir = join(runDir, "docker-etc");
const containerdConfigFile = join(stateDir, "etc", "docker-containerd.toml");

/**
 * The daemon's settings. They are in a separate file, because flags would conflict with settings in the machine's
 * /etc/docker/daemon.json. Pure.
 * @param help the output of `dockerd --help`, because the daemon does not start with a setting that it doesn't know
 */
export const daemonConfig = (help: string) => ({
  hosts: [`unix://${dockerSocket}`],
  "data-root": dataDir,
  "exec-root": execDir,
  pidfile: pidFile,
  // Without this setting, dockerd would not find the containerd that is started below.
  containerd: containerdSocket,
  "cgroup-parent": `/${cgroup}`,
  // If systemd runs on the machine, the default driver is systemd, which does not accept this cgroup-parent.
  "exec-opts": ["native.cgroupdriver=cgroupfs"],
  // This bridge exists only while the daemon starts. With `none`, the daemon would delete `docker0`, which belongs to another
  // Docker.
  bridge,
  iptables: false,
  ip6tables: false,
  "ip-forward": false,
  "ip-masq": false,
  "userland-proxy": false,
  // Up to Docker 24 the default is -500, which needs CAP_SYS_RESOURCE. On some machines root lacks this capability.
  ...(help.includes("--oom-score-adjust") && { "oom-score-adjust": 0 }),
  // Builds keep layers for the next build, up to this size.
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

/** The shell is the first process in the daemon's namespaces: it passes SIGTERM on to dockerd, and ends after dockerd. */
const [command = "", ...args] = inCgroup(cgroup, [
  ...["/usr/bin/unshare", "--mount", "--propagation=slave", "--pid", "--fork", "--kill-child", "--mount-proc"],
  ...["sh", "-c"],
  // These folders contain the sockets of shims and plugins, and a key of Docker up to version 24. No setting moves these files.
  `mkdir -p /run/containerd /run/docker /etc/docker ${etcDir}/new ${etcDir}/work
   for dir in containerd docker; do mount -t tmpfs tmpfs /run/$dir; done
   mount -t overlay overlay -o lowerdir=/etc/docker,upperdir=${etcDir}/new,workdir=${etcDir}/work /etc/docker
   containerd --config=${containerdConfigFile} &
   dockerd --config-file=${configFile} &
   trap "kill -TERM $!" TERM
   wait $! || wait $!`,
]);
const daemon: Daemon = { name: "docker", command, args, files: [configFile, containerdConfigFile] };

/** The value of DOCKER_HOST for programs that use this daemon. */
export const dockerHost = `unix://${dockerSocket}`;

/**
 * Runs the docker client and returns its output. Builds use the daemon's BuildKit: the client of Debian 12 calls BuildKit itself,
 * and the client of Debian 13 uses the plugin buildx. /usr/bin/docker is preferred, because another client that comes first on
 * the PATH may support neither BuildKit nor buildx.
 * @param host the daemon's address. Default: the address of Berth's own daemon
 */
export async function docker(
  args: string[],
  { host = dockerHost, env, ...options }: Options & { host?: string } = {},
): Promise<string> {
  const client = ["/usr/bin/docker"].find(existsSync) ?? "docker";
  const buildx = host === dockerHost ? { BUILDX_CONFIG: join(runDir, "buildx") } : {}; // otherwise buildx writes to root's home
  const { stdout } = await execa(client, args, {
    stdin: "ignore",
    cancelSignal: stopSignal(),
    ...options,
    env: { DOCKER_HOST: host, DOCKER_BUILDKIT: "1", BUILDKIT_PROGRESS: "plain", ...buildx, ...env },
  });
  return String(stdout);
}

/** The last lines that the client wrote before it failed. */
export function clientError(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  return (stderr || message).trim().split("\n").slice(-12).join("\n");
}

/**
 * Starts the daemon and its containerd unless they run with the current settings, and waits until the daemon answers. Returns
 * whether the daemon was started.
 */
export async function startDocker(): Promise<boolean> {
  for (const dir of [dirname(configFile), execDir]) mkdirSync(dir, { recursive: true });
  writeFileSync(containerdConfigFile, containerdConfig);
  const { stdout: help } = await execa("dockerd", ["--help"]);
  writeFileSync(configFile, JSON.stringify(daemonConfig(help), null, 2));
  const wanted = fingerprint(daemon);
  if (fingerprintOf(daemon.name) !== wanted) {
    await stopDocker(); // also removes the parts of an interrupted start
    await execa("ip", ["link", "add", bridge, "type", "bridge"]);
    await execa("ip", ["address", "add", `${bridgeIp}/30`, "dev", bridge]);
  }
  const started = start(daemon, wanted);
  await waitFor("The Docker daemon", 60, answers, daemon);
  await removeBridge();
  return started !== undefined;
}

/** Ends the daemon with its containers and its containerd; images and the build cache stay. */
export async function stopDocker(): Promise<void> {
  await stop(daemon.name, 20_000);
  await removeBridge();
  // The pid in the file may belong to another process now, and then a new daemon would refuse to start.
  for (const file of [pidFile, dockerSocket]) rmSync(file, { force: true });
  removeCgroup(cgroup);
}

/**
 * Returns "not answering" if the daemon's process exists but does not answer the docker client; otherwise "running" or "stopped".
 */
export async function dockerStatus(): Promise<"running" | "stopped" | "not answering"> {
  if (!runs(daemon.name)) return "stopped";
  return (await answers()) ? "running" : "not answering";
}

const removeBridge = () => execa("ip", ["link", "delete", bridge], { reject: false });

const answers = () =>
  docker(["version"], { timeout: 2_000 }).then(
    () => true,
    () => false,
  );
