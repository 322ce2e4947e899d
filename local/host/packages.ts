/** The Debian packages that the local cluster, the image builds and the browser test need. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { execa } from "execa";
import { UserError } from "../lib/steps.ts";

export const packages = [
  // cluster
  "conntrack",
  "containerd",
  "containernetworking-plugins",
  "docker-registry",
  "etcd-server",
  "iproute2",
  "iptables",
  "kmod",
  "nftables",
  "openssl",
  "runc",
  // images
  "ca-certificates",
  "docker.io",
  "mmdebstrap",
  // for the end-to-end test: a real browser with a font, and a real reverse proxy in an ingress controller's place
  "chromium",
  "fonts-dejavu-core",
  "nginx-light",
];

/** Units that these packages bring; Berth starts the programs itself, so they must not run on their own at boot. */
const units = [
  "containerd.service",
  "docker.service",
  "docker.socket",
  "docker-registry.service",
  "etcd.service",
  "nginx.service",
];

/** Those of `wanted` that aren't installed, given `dpkg-query`'s lines "name<TAB>status". Pure. */
export function missingPackages(wanted: string[], lines: string): string[] {
  const installed = new Set(
    lines
      .split("\n")
      .filter((line) => line.split("\t")[1]?.startsWith("ii"))
      .map((line) => line.split("\t")[0]),
  );
  return wanted.filter((name) => !installed.has(name));
}

/** Installs what is missing of `packages`, without starting any service. Returns what it did. */
export async function installPackages(): Promise<string> {
  const missing = missingPackages(packages, await installedPackages());
  if (missing.length === 0) {
    allowServiceStarts();
    return "all installed";
  }
  await withoutServiceStarts(async () => {
    // the lists may be fresh already; only if they turn out not to be is an update worth its time
    if ((await aptInstall(missing)).failed) {
      await execa("apt-get", ["update", "-q"], { reject: false });
      const second = await aptInstall(missing);
      if (second.failed)
        throw new UserError(
          `apt-get could not install ${missing.join(" ")} (${aptError(second.all)}): check that \`apt-get update\` works and the disk has room, then run the command again.`,
        );
    }
    await disableUnits(missing);
  });
  return `installed ${missing.join(" ")}`;
}

async function installedPackages(): Promise<string> {
  // dpkg-query fails when one name is unknown, and lists the others all the same
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const query = await execa("dpkg-query", ["-W", "-f", "${Package}\\t${db:Status-Abbrev}\\n", ...packages], {
    reject: false,
  });
  return query.stdout;
}

/** A dpkg run that was interrupted earlier is completed first. */
async function aptInstall(names: string[]) {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await execa("dpkg", ["--configure", "-a"], { env, reject: false });
  const options = ["install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
  return execa("apt-get", [...options, ...names], { env, reject: false, all: true });
}

const policyFile = "/usr/sbin/policy-rc.d";
const savedPolicy = `${policyFile}.before-berth`;
const policy = "#!/bin/sh\n# Berth's, while it installs packages: no service may start\nexit 101\n";

/** Runs `work` while Debian's policy-rc.d forbids service starts; the administrator's own policy comes back afterwards. */
async function withoutServiceStarts(work: () => Promise<void>): Promise<void> {
  if (existsSync(policyFile) && !isOurs()) renameSync(policyFile, savedPolicy);
  writeFileSync(policyFile, policy, { mode: 0o755 });
  try {
    await work();
  } finally {
    allowServiceStarts();
  }
}

/** Also after a run that was killed, whose file must not be taken for the administrator's. */
function allowServiceStarts(): void {
  if (isOurs()) rmSync(policyFile);
  if (existsSync(savedPolicy)) renameSync(savedPolicy, policyFile);
}

const isOurs = () => existsSync(policyFile) && readFileSync(policyFile, "utf8") === policy;

/** On hosts with systemd, keeps the services of the newly installed packages from starting at boot. */
async function disableUnits(installed: string[]): Promise<void> {
  if (!existsSync("/run/systemd/system")) return;
  const ours = units.filter((unit) => {
    const name = unit.replace(/\..*/, "");
    return ["", ".io", "-server", "-light"].some((suffix) => installed.includes(name + suffix));
  });
  if (ours.length > 0) await execa("systemctl", ["disable", "--now", ...ours], { reject: false });
}

/** The first error among apt-get's output. */
const aptError = (output: string) => output.match(/^E: (.*)$/m)?.[1] ?? "without saying why";
