/**
 * Checks these cases: apt-get still runs after a killed `npm run up`; another task fails while apt-get runs; package scripts try
 * to start and enable services; somebody else's installation is not complete; a purge names the packages that stay.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, it } from "vitest";
import { root } from "../../machine/machine.ts";
import { onPath } from "./inspect.ts";

const isRoot = process.getuid?.() === 0;

/** Runs a shell script that uses a separate Berth, with its own /run. Ends the script and its programs after 5 minutes. */
async function inOwnPlace(script: string) {
  const state = mkdtempSync(join(tmpdir(), "berth-apt-"));
  const own = "mount -t tmpfs tmpfs /run";
  try {
    return await execa("timeout", ["300", "unshare", "--mount", "sh", "-c", `${own}\n${script}`], {
      cwd: root,
      env: { BERTH_NAME: "berth-apt", BERTH_STATE: state },
      all: true,
      reject: false,
    });
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
}

const node = (script: string) => `${process.execPath} --input-type=module --eval '${script}'`;

it("waits for the apt-get of a run that was killed", async ({ skip }) => {
  skip(!isRoot || !onPath("unshare"), "only root can hide /run from the test");
  const { all } = await inOwnPlace(`
    ${node(`
      import { spawn } from "node:child_process";
      const { withPidFile } = await import("./local/lib/process.ts");
      // This apt-get ends soon after the other run has printed a line.
      const script = "until [ -e /run/said ]; do sleep 0.1; done; echo apt-get has ended";
      const [program, ...args] = withPidFile("apt-get", ["sh", "-c", script]);
      spawn(program, args, { stdio: "inherit", detached: true }).unref();
      process.exit();`)}
    while [ ! -e /run/berth-apt/apt-get.pid ]; do :; done
    ${node(`
      import { writeFileSync } from "node:fs";
      const { log } = console;
      console.log = (line) => { log(line); writeFileSync("/run/said", ""); };
      const { aptEnded } = await import("./local/host/packages.ts");
      await aptEnded();`)}
    echo done`);
  expect(all).toMatch(
    /^· Wait for apt-get \(process \d+\), which a killed run has left\napt-get has ended\n✓ .*\ndone$/,
  );
});

/**
 * Makes scripts in place of two programs: `apt-get install` runs `script`, and dpkg records whose package scripts its packages
 * would run. Berth's own installation was interrupted.
 */
const fakes = (script: string) => `
    mkdir /run/bin && export PATH=/run/bin:$PATH
    cat >/run/bin/dpkg <<'END'
#!/bin/sh
case $PATH in *package-scripts*) echo ours "$@" ;; *) echo theirs "$@" ;; esac >/run/dpkg
END
    cat >/run/bin/apt-get <<'END'
#!/bin/sh
[ "$1" = install ] || exit 0
${script}
END
    chmod +x /run/bin/*
    echo an-interrupted-one >$BERTH_STATE/debian-packages
    touch $BERTH_STATE/installation`;

it("is interrupted where something beside it has failed, and is completed later", async ({ skip }) => {
  skip(!isRoot || !onPath("unshare"), "only root can hide /run from the test");
  const { all } = await inOwnPlace(`
    ${fakes("trap 'echo interrupted >/run/told; exit 100' INT; echo runs >/run/runs; while :; do sleep 0.1; done")}
    ${node(`
      import { existsSync } from "node:fs";
      import { setTimeout as sleep } from "node:timers/promises";
      const { installPackages } = await import("./local/host/packages.ts");
      const { stoppable } = await import("./local/lib/steps.ts");
      const stop = new AbortController();
      const installed = stoppable(stop.signal, installPackages).catch((error) => console.log(error.message));
      while (!existsSync("/run/runs")) await sleep(20);
      stop.abort(new Error("told to stop"));
      await installed;`)}
    cat /run/told; ls $BERTH_STATE`);
  expect(all).toBe("told to stop\ninterrupted\ndebian-packages\ninstallation\nlog");
});

it("starts no service, and enables none that was not enabled", async ({ skip }) => {
  skip(!isRoot || !onPath("unshare"), "only root can hide /run from the test");
  // The package scripts of Debian make these calls. Scripts that record their arguments replace the machine's programs.
  const postinst = `
    PATH=\${PATH#*=}
    if deb-systemd-helper --quiet was-enabled docker.service; then deb-systemd-helper enable docker.service
    else deb-systemd-helper update-state docker.service; fi
    update-rc.d docker defaults
    deb-systemd-invoke start docker.service
    invoke-rc.d docker start`;
  const { all } = await inOwnPlace(`
    ${fakes(`for option; do case $option in DPkg::Path=*) PATH=$option;; esac; done\n${postinst}`)}
    for program in deb-systemd-helper update-rc.d deb-systemd-invoke invoke-rc.d; do
      printf '#!/bin/sh\necho %s "$@" >>/run/told' $program >/run/bin/$program
    done
    chmod +x /run/bin/*
    ${node('await (await import("./local/host/packages.ts")).installPackages();')}
    cat /run/dpkg /run/told; ls $BERTH_STATE`);
  expect(all?.split("\n")).toEqual([
    "ours --configure -a",
    "deb-systemd-helper update-state docker.service",
    "update-rc.d docker defaults-disabled",
    "debian-packages",
    "log",
  ]);
});

const install = node('console.log(await (await import("./local/host/packages.ts")).installPackages());');

it("completes somebody else's installation without Berth's package scripts, and removes no package", async ({
  skip,
}) => {
  skip(!isRoot || !onPath("unshare"), "only root can hide /run from the test");
  const { all } = await inOwnPlace(`
    ${fakes("for option; do case $option in --no-*) echo $option >>/run/told;; esac; done")}
    rm $BERTH_STATE/installation
    fonts=/usr/share/fonts/truetype/dejavu
    [ ! -e $fonts ] || mount -t tmpfs tmpfs $fonts
    ${install}
    cat /run/dpkg /run/told`);
  expect(all?.split("\n")).toEqual([
    expect.stringMatching(/^installed (.* )?fonts-dejavu-core/),
    "theirs --configure -a",
    "--no-remove",
    "--no-upgrade",
    "--no-install-recommends",
  ]);
});

it("says at a purge which packages stay: those that Berth has installed, and that are still there", async ({
  skip,
}) => {
  skip(!isRoot || !onPath("unshare") || !onPath("dpkg-query"), "only root can hide /run from the test");
  const { all } = await inOwnPlace(`
    printf 'base-files\nno-such-package\ndpkg\nbase-files\n' >$BERTH_STATE/debian-packages
    echo "The state of Berth's local cluster" >$BERTH_STATE/README
    ${process.execPath} local/main.ts down --purge`);
  expect(all).toMatch(/The Debian packages that Berth installed stay, .*: base-files dpkg$/);
});
