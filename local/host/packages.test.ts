/** An apt-get that outlives the run that has started it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, it } from "vitest";
import { root } from "../lib/paths.ts";
import { onPath } from "./machine.ts";

const isRoot = process.getuid?.() === 0;

/** A Berth of the test's own, whose /usr/sbin and /run are its own too. */
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
      const script = "sleep 1; ls /usr/sbin; echo apt-get has ended";
      const [program, ...args] = withPidFile("apt-get", ["sh", "-c", script]);
      spawn(program, args, { stdio: "inherit", detached: true }).unref();
      process.exit();`)}
    while [ ! -e /run/berth-apt/apt-get.pid ]; do :; done
    ${node(`
      const { endInstallation } = await import("./local/host/packages.ts");
      await endInstallation();`)}
    ls /usr/sbin; echo done`);
  expect(all).toMatch(
    /^· Wait for apt-get \(process \d+\), which a killed run has left\npolicy-rc.d\napt-get has ended\n✓ .*\ndone$/,
  );
});
