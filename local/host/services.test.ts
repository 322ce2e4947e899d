/** Checks which services an installation may disable. The test uses its own root folder with its own programs. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { disableBroughtAlong, note, servicesOf, simulated, startedAtBoot } from "./services.ts";

let root: string;
let file: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "berth-services-"));
  file = join(root, "installation.json");
  // The package contains two units and a script. The test's fake `systemctl` and `update-rc.d` delete the start links of the
  // services that they are told to disable.
  const files = "/lib/systemd/system/docker.service\n/usr/lib/systemd/system/docker.socket\n/etc/init.d/docker";
  program("dpkg-query", `[ "$*" = "--listfiles docker.io" ] && printf '${files}\\n'`);
  program("systemctl", `shift; for unit; do rm ${root}/etc/systemd/system/*/$unit; done`);
  program("update-rc.d", `rm ${root}/etc/rc?.d/S??$1`);
  vi.stubEnv("PATH", `${join(root, "bin")}:${process.env.PATH}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

function program(name: string, script: string): void {
  mkdirSync(join(root, "bin"), { recursive: true });
  writeFileSync(join(root, "bin", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

function enable(...links: string[]): void {
  for (const link of links) {
    mkdirSync(dirname(join(root, "etc", link)), { recursive: true });
    symlinkSync("anything", join(root, "etc", link));
  }
}
const wanted = "systemd/system/multi-user.target.wants";

it("disables the services of the packages that came, systemd's and sysvinit's, and no others", async () => {
  enable(`${wanted}/ssh.service`, "rc2.d/S01ssh");
  note(file, ["docker.io"], root);
  enable(
    `${wanted}/docker.service`,
    "systemd/system/sockets.target.wants/docker.socket",
    "rc2.d/S01docker",
    "rc3.d/S01docker",
  );
  // The administrator adds this service after a killed run.
  enable(`${wanted}/backup.service`, "rc2.d/S02backup");
  await disableBroughtAlong(file, root);
  expect(startedAtBoot(root)).toEqual(["backup", "backup.service", "ssh", "ssh.service"]);
  expect(existsSync(file)).toBe(false);
});

it("leaves a service enabled that was so before, also where a killed run began the installation", async () => {
  enable(`${wanted}/docker.service`);
  note(file, ["docker.io"], root);
  enable("rc2.d/S01docker");
  note(file, ["etcd-server"], root);
  program("dpkg-query", "echo /lib/systemd/system/docker.service; echo /etc/init.d/docker; exit 1");
  await disableBroughtAlong(file, root);
  expect(startedAtBoot(root)).toEqual(["docker.service"]);
});

it("says what to do about a service that can't be disabled, and remembers it", async () => {
  note(file, ["docker.io"], root);
  enable(`${wanted}/docker.service`);
  program("systemctl", "exit 1");
  await expect(disableBroughtAlong(file, root)).rejects.toThrow(/could not be disabled: docker.service. Disable them/);
  expect(existsSync(file)).toBe(true);
});

it("does nothing where no installation was begun", async () => {
  enable(`${wanted}/backup.service`);
  await disableBroughtAlong(file, root);
  expect(startedAtBoot(root)).toEqual(["backup.service"]);
});

it("reads what apt-get would install, and what of a package starts at boot", () => {
  const output =
    "Inst libc6:i386 (2.36 Debian:12 [i386])\nInst docker.io (20.10.24 Debian:12 [amd64])\nConf docker.io (…)\n";
  expect(simulated(output)).toEqual(["libc6", "docker.io"]);
  expect(
    servicesOf(["/usr/lib/systemd/system/x.socket", "/etc/init.d/x", "/lib/systemd/system/x.service.d/y.conf"]),
  ).toEqual(["x.socket", "x"]);
});
