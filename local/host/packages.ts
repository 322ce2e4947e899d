/** The programs that the local cluster, the image builds and the browser test need, from Debian's packages. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { machine } from "../../machine/machine.ts";
import { logFile, pidOf, waitFor, withPidFile } from "../lib/process.ts";
import { step, stoppable, stopSignal, UserError } from "../lib/steps.ts";
import { onPath } from "./machine.ts";
import { disableBroughtAlong, note, simulated } from "./services.ts";

const { logDir, stateDir } = machine;

/** By program or, where it is not on the PATH, by file. A program that is there stays, whatever package it is from. */
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
  "/usr/bin/docker": "docker.io", // its client, by its place: another one may come first on the PATH
  mmdebstrap: "mmdebstrap",
  // for the end-to-end test: a real browser with a font, and a real reverse proxy in an ingress controller's place
  chromium: "chromium",
  "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf": "fonts-dejavu-core",
  nginx: "nginx-light",
};

const isThere = (program: string) => (program.startsWith("/") ? existsSync(program) : onPath(program));

/** The packages whose programs are missing. */
export const missingPackages = (has: (program: string) => boolean = isThere): string[] => [
  ...new Set(Object.entries(packages).flatMap(([program, name]) => (has(program) ? [] : [name]))),
];

const installedFile = join(stateDir, "debian-packages");

/** The packages that Berth has installed: they stay when its state goes. */
export const installedPackages = (): string[] =>
  existsSync(installedFile) ? [...new Set(readFileSync(installedFile, "utf8").split("\n").filter(Boolean))] : [];

/** What to install: the missing, and all that an interrupted installation was about. Pure. */
export const toInstall = (missing: string[], recorded: string[], interrupted: boolean): string[] => [
  ...new Set([...missing, ...(interrupted ? recorded : [])]),
];

/** There from the beginning of an installation to its end, whichever run comes to that. */
const installationFile = join(stateDir, "installation.json");

/** Installs what is missing, without removing any package and without starting any service. Returns what it did. */
export async function installPackages(): Promise<string> {
  await aptEnded();
  const names = toInstall(missingPackages(), installedPackages(), existsSync(installationFile));
  try {
    if (names.length === 0) return "all installed";
    forbidServiceStarts();
    await aptInstall(names);
    // From Debian 13 on the client is a package of its own, and so is what it builds with.
    if (!isThere("/usr/bin/docker")) await aptInstall(["docker-cli", "docker-buildx"]);
    return `installed ${names.join(" ")}`;
  } finally {
    // Also where something else has failed.
    await stoppable(new AbortController().signal, endInstallation);
  }
}

/** Lets services start again, but none of those that came with packages; also after a run that was killed. */
export async function endInstallation(): Promise<void> {
  await aptEnded();
  allowServiceStarts();
  await disableBroughtAlong(installationFile);
}

/** Has a pid file, because apt-get outlives a run that is killed, and no service may start until its end. */
const apt = "apt-get";

async function aptEnded(): Promise<void> {
  const pid = pidOf(apt);
  if (pid === undefined) return;
  const ended = () => waitFor("The end of apt-get", 600, async () => pidOf(apt) !== pid);
  await step(`Wait for apt-get (process ${pid}), which a killed run has left`, ended);
}

/** Throws a UserError where it can't be done, and where another package would have to go. */
async function aptInstall(names: string[]): Promise<void> {
  appendFileSync(installedFile, names.map((name) => `${name}\n`).join(""));
  // a dpkg run that was interrupted earlier is completed first
  await aptGet("dpkg", "--configure", "-a");
  // the lists may be fresh already; only if they turn out not to be is an update worth its time
  if (!(await install(names)).failed) return;
  await aptGet("apt-get", "update", "-q");
  const second = await install(names);
  if (second.failed)
    throw new UserError(
      `apt-get could not install ${names.join(" ")} (${aptError(second.output)}): check that \`apt-get update\` works, that the disk has room and that no other package stands in the way, then run the command again.`,
    );
}

async function install(names: string[]) {
  const only = ["--no-remove", "--no-upgrade", "--no-install-recommends"];
  const args = ["install", "-y", "-q", ...only, "-o", "DPkg::Lock::Timeout=300", ...names];
  note(installationFile, simulated((await aptGet("apt-get", "--simulate", ...args)).output));
  return aptGet("apt-get", ...args);
}

/**
 * Told to stop, it ends as at Ctrl-C: after the package that it is about. It writes to a file, because it would end without a
 * reader of what it writes.
 */
async function aptGet(...command: string[]): Promise<{ failed: boolean; output: string }> {
  const log = logFile(apt);
  mkdirSync(logDir, { recursive: true });
  const [program = "", ...args] = withPidFile(apt, ["sh", "-c", 'exec "$@" >"$0" 2>&1', log, ...command]);
  const { failed } = await execa(program, args, {
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "ignore",
    reject: false,
    cancelSignal: stopSignal(),
    killSignal: "SIGINT",
    forceKillAfterDelay: false,
  });
  stopSignal().throwIfAborted();
  return { failed, output: readFileSync(log, "utf8") };
}

const policyFile = "/usr/sbin/policy-rc.d";
const savedPolicy = `${policyFile}.before-berth`;
const policy = "#!/bin/sh\n# Berth's, while it installs packages: no service may start\nexit 101\n";

/** By Debian's policy-rc.d; the administrator's own is kept. */
function forbidServiceStarts(): void {
  if (existsSync(policyFile) && !isOurs()) renameSync(policyFile, savedPolicy);
  writeFileSync(policyFile, policy, { mode: 0o755 });
}

/** The administrator's own policy comes back. */
function allowServiceStarts(): void {
  if (isOurs()) rmSync(policyFile);
  if (existsSync(savedPolicy)) renameSync(savedPolicy, policyFile);
}

const isOurs = () => existsSync(policyFile) && readFileSync(policyFile, "utf8") === policy;

/** The first error among apt-get's output. */
const aptError = (output: string) => output.match(/^E: (.*)$/m)?.[1] ?? "without saying why";
