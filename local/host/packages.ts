/** The programs that the local cluster, the image builds and the browser test need, from Debian's packages. */
import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { stateDir } from "../lib/paths.ts";
import { UserError } from "../lib/steps.ts";
import { onPath } from "./machine.ts";

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

/** Installs what is missing, without removing any package and without starting any service. Returns what it did. */
export async function installPackages(): Promise<string> {
  const names = toInstall(missingPackages(), installedPackages(), existsSync(unitsFile));
  try {
    if (names.length === 0) return "all installed";
    await noteUnits();
    forbidServiceStarts();
    await aptInstall(names);
    // From Debian 13 on the client is a package of its own, and so is what it builds with.
    if (!isThere("/usr/bin/docker")) await aptInstall(["docker-cli", "docker-buildx"]);
    return `installed ${names.join(" ")}`;
  } finally {
    await endInstallation();
  }
}

/** Lets services start again, but none of those that came with packages; also after a run that was killed. */
export async function endInstallation(): Promise<void> {
  allowServiceStarts();
  await disableNewUnits();
}

/** Throws a UserError where it can't be done, and where another package would have to go. */
async function aptInstall(names: string[]): Promise<void> {
  appendFileSync(installedFile, names.map((name) => `${name}\n`).join(""));
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const options = [
    "-y",
    "-q",
    "--no-remove",
    "--no-upgrade",
    "--no-install-recommends",
    "-o",
    "DPkg::Lock::Timeout=300",
  ];
  const install = () => execa("apt-get", ["install", ...options, ...names], { env, reject: false, all: true });
  // a dpkg run that was interrupted earlier is completed first
  await execa("dpkg", ["--configure", "-a"], { env, reject: false });
  // the lists may be fresh already; only if they turn out not to be is an update worth its time
  if (!(await install()).failed) return;
  await execa("apt-get", ["update", "-q"], { reject: false });
  const second = await install();
  if (second.failed)
    throw new UserError(
      `apt-get could not install ${names.join(" ")} (${aptError(second.all)}): check that \`apt-get update\` works, that the disk has room and that no other package stands in the way, then run the command again.`,
    );
}

/** What started at boot before packages were installed; gone once the new services are disabled, whichever run does that. */
const unitsFile = join(stateDir, "enabled-units");

/** Whole or not at all: what the file lacks is disabled. */
async function noteUnits(): Promise<void> {
  if (existsSync(unitsFile)) return;
  writeFileSync(`${unitsFile}.new`, (await enabledUnits()).join("\n"));
  renameSync(`${unitsFile}.new`, unitsFile);
}

/** Berth starts the programs itself, so their services must not run on their own at boot. */
async function disableNewUnits(): Promise<void> {
  if (!existsSync(unitsFile)) return;
  const before = readFileSync(unitsFile, "utf8").split("\n");
  const enabled = (await enabledUnits()).filter((unit) => !before.includes(unit));
  if (enabled.length > 0) await execa("systemctl", ["disable", "--now", ...enabled], { reject: false });
  rmSync(unitsFile);
}

/** The services that start at boot; none where there is no systemd. */
async function enabledUnits(): Promise<string[]> {
  if (!existsSync("/run/systemd/system")) return [];
  const list = await execa("systemctl", ["list-unit-files", "--state=enabled", "--no-legend", "--plain"]);
  return list.stdout.split("\n").flatMap((line) => line.split(/\s+/)[0] || []);
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
