/** Checks an apt-get that survives the run that started it, and an apt-get whose run fails because of another task. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, it } from "vitest";
import { root } from "../../machine/machine.ts";
import { onPath } from "./machine.ts";

const isRoot = process.getuid?.() === 0;

/** Runs a shell script that uses a separate Berth, with its own /usr/sbin and /run. */
async function inOwnPlace(script: string) {
  const state = mkdtempSync(join(tmpdir(), "berth-apt-"));
  const own = "for dir in /run /usr/sbin; do mount -t tmpfs tmpfs $dir; done";
  try {
    return await execa("unshare", ["--mount", "sh", "-c", `${own}\n${script}`], {
      cwd: root,
      env: { BERTH_NAME: "berth-apt", BERTH_STATE: state },
      all: true,
      reject: false,
    });
  } finally {
    rmSync(state, { recursive: true });
  }
}

const node = (script: string) => `${process.execPath} --input-type=module --eval '${script}'`;

it("no service may start before the apt-get of a run that was killed has ended", async ({ skip }) => {
  skip(!isRoot || !onPath("unshare"), "only root can hide /usr/sbin from the test");
  const { all } = await inOwnPlace(`
    printf '#!/bin/sh\\n# Berth'"'"'s, while it installs packages: no service may start\\nexit 101\\n' >/usr/sbin/policy-rc.d
    ${node(`
      import { spawn } from "node:child_process";
      const { withPidFile } = await import("./local/lib/process.ts");
      // This apt-get ends soon after the other run has printed a line, or else after ten seconds.
      const script = "for i in $(seq 100); do [ -e /run/said ] && break; sleep 0.1; done; ls /usr/sbin; echo apt-get has ended";
      const [program, ...args] = withPidFile("apt-get", ["sh", "-c", script]);
      spawn(program, args, { stdio: "inherit", detached: true }).unref();
      process.exit();`)}
    while [ ! -e /run/berth-apt/apt-get.pid ]; do :; done
    ${node(`
      import { writeFileSync } from "node:fs";
      const { log } = console;
      console.log = (line) => { log(line); writeFileSync("/run/said", ""); };
      const { endInstallation } = await import("./local/host/packages.ts");
      await endInstallation();`)}
    ls /usr/sbin; echo done`);
  expect(all).toMatch(
    /^· Wait for apt-get \(process \d+\), which a killed run has left\npolicy-rc.d\napt-get has ended\n✓ .*\ndone$/,
  );
});

it("is interrupted where something beside it has failed, and services may start again", async ({ skip }) => {
  skip(!isRoot || !onPath("unshare"), "only root can hide /usr/sbin from the test");
  const { all } = await inOwnPlace(`
    mkdir /run/bin && export PATH=/run/bin:$PATH
    echo '{"before":[],"packages":[]}' >$BERTH_STATE/installation.json
    echo an-interrupted-one >$BERTH_STATE/debian-packages
    for program in dpkg dpkg-query; do printf '#!/bin/sh\n' >/run/bin/$program; done
    cat >/run/bin/apt-get <<'END'
#!/bin/sh
[ "$1" = install ] || exit 0
trap 'echo interrupted >/run/told; exit 100' INT
echo runs >/run/runs
while :; do sleep 0.1; done
END
    chmod +x /run/bin/*
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
    cat /run/told; ls /usr/sbin`);
  expect(all).toBe("told to stop\ninterrupted");
});
