/** Installs the programs that the local cluster, the image builds and the end-to-end test need, from Debian's packages. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { machine } from "../../machine/machine.ts";
import { logFile, pidOf, waitFor, withPidFile } from "../lib/process.ts";
import { step, stopSignal, UserError } from "../lib/steps.ts";
import { onPath } from "./inspect.ts";

const { logDir, stateDir } = machine;

/**
 * Debian's packages. The key is a program on the PATH, or the path of a file. If the program or file exists already, whatever its
 * source, its package is not installed.
 */
const packages: Record<string, string> = {
  // cluster
  containerd: "containerd",
  "/usr/lib/cni/ptp": "containernetworking-plugins",
  "docker-registry": "docker-registry",
  etcd: "etcd-server",
  ip: "iproute2",
  iptables: "iptables",
  nft: "nftables",
  openssl: "openssl",
  runc: "runc",
  // images
  "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
  dockerd: "docker.io",
  "/usr/bin/docker": "docker.io", // the client, by its path, because another client may come first on the PATH
  mmdebstrap: "mmdebstrap",
  // for the end-to-end test: a real browser with a font, and a real reverse proxy in place of an ingress controller
  chromium: "chromium",
  "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf": "fonts-dejavu-core",
  nginx: "nginx-light",
};

const isThere = (program: string) => (program.startsWith("/") ? existsSync(program) : onPath(program));

/** The packages whose programs are missing. */
export const missingPackages = (has: (program: string) => boolean = isThere): string[] => [
  ...new Set(Object.entries(packages).flatMap(([program, name]) => (has(program) ? [] : [name]))),
];

const recordFile = join(stateDir, "debian-packages");

/** The packages that Berth has installed or tried to install. */
const recordedPackages = (): string[] =>
  existsSync(recordFile) ? [...new Set(readFileSync(recordFile, "utf8").split("\n").filter(Boolean))] : [];

/** The packages that Berth has installed and that are still installed. They stay when Berth's state is removed. */
export async function installedPackages(): Promise<string[]> {
  const recorded = recordedPackages();
  if (recorded.length === 0) return [];
  const format = ["--show", `--showformat=\${db:Status-Status} \${Package}\\n`];
  const { stdout } = await execa("dpkg-query", [...format, ...recorded], { reject: false }); // fails if a package is unknown
  return recorded.filter((name) => stdout?.split("\n").includes(`installed ${name}`));
}

/**
 * The packages to install: the missing packages. After an interrupted installation, also all packages that Berth recorded. Pure.
 */
export const toInstall = (missing: string[], recorded: string[], interrupted: boolean): string[] => [
  ...new Set([...missing, ...(interrupted ? recorded : [])]),
];

/** This file exists from the beginning of an installation to its end. A later run completes an installation that was killed. */
const unfinishedFile = join(stateDir, "installation");

/**
 * Installs the missing packages. Removes no package, starts no service, and enables no service at boot. Returns a text for the
 * step's line.
 */
export async function installPackages(): Promise<string> {
  await aptEnded();
  const isInterrupted = existsSync(unfinishedFile);
  const names = toInstall(missingPackages(), recordedPackages(), isInterrupted);
  if (names.length === 0) return "all installed";
  // Completes what dpkg has begun. If that was not Berth's installation, its packages start and enable services as they like.
  await aptGet(["dpkg", "--configure", "-a"], isInterrupted ? path() : process.env.PATH);
  writeFileSync(unfinishedFile, "");
  await aptInstall(names);
  // From Debian 13 on, the docker client and its plugin buildx are separate packages.
  if (!isThere("/usr/bin/docker")) await aptInstall(["docker-cli", "docker-buildx"]);
  rmSync(unfinishedFile);
  return `installed ${names.join(" ")}`;
}

/** The name of apt-get's pid file. apt-get has a pid file because it survives a killed run. */
const apt = "apt-get";

/** After a killed run, waits until the run's apt-get has ended. */
export async function aptEnded(): Promise<void> {
  const pid = pidOf(apt);
  if (pid === undefined) return;
  const ended = () => waitFor("apt-get, which a killed run has left,", 600, async () => pidOf(apt) !== pid);
  await step(`Wait for apt-get (process ${pid}), which a killed run has left`, ended);
}

/** Throws a UserError if apt-get can't install the packages, or would have to remove another package. */
async function aptInstall(names: string[]): Promise<void> {
  appendFileSync(recordFile, names.map((name) => `${name}\n`).join(""));
  // The package lists are often up to date, so the slow update runs only after a failed installation.
  if (!(await install(names)).failed) return;
  await aptGet(["apt-get", "update", "-q"]);
  const second = await install(names);
  if (second.failed)
    throw new UserError(
      `apt-get could not install ${names.join(" ")} (${aptError(second.output)}): check that \`apt-get update\` works, that the disk has free space and that no other package conflicts, then run the command again.`,
    );
}

async function install(names: string[]) {
  const only = ["--no-remove", "--no-upgrade", "--no-install-recommends"];
  const options = ["DPkg::Lock::Timeout=300", `DPkg::Path=${path()}`].flatMap((option) => ["-o", option]);
  return aptGet(["apt-get", "install", "-y", "-q", ...only, ...options, ...names]);
}

/** The PATH of package scripts. The programs in package-scripts/ keep the scripts from starting and enabling services. */
const path = () => `${fileURLToPath(new URL("package-scripts", import.meta.url))}:${process.env.PATH}`;

/**
 * Runs apt-get or dpkg. When the step must stop, apt-get gets SIGINT, as from Ctrl-C, and ends after the current package. The
 * output goes to a file: if this process were killed, nobody would read a pipe, and apt-get would end too early.
 */
async function aptGet(command: string[], PATH = path()): Promise<{ failed: boolean; output: string }> {
  const log = logFile(apt);
  mkdirSync(logDir, { recursive: true });
  const [program = "", ...args] = withPidFile(apt, ["sh", "-c", 'exec "$@" >"$0" 2>&1', log, ...command]);
  const { failed } = await execa(program, args, {
    env: { DEBIAN_FRONTEND: "noninteractive", PATH },
    stdin: "ignore",
    reject: false,
    cancelSignal: stopSignal(),
    killSignal: "SIGINT",
    forceKillAfterDelay: false,
  });
  stopSignal().throwIfAborted();
  return { failed, output: readFileSync(log, "utf8") };
}

/** The first error in apt-get's output. */
const aptError = (output: string) => output.match(/^E: (.*)$/m)?.[1] ?? "no reason was printed";
