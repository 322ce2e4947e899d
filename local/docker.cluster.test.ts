/** Starts a separate Docker daemon in separate namespaces, and checks which files the daemon leaves. */
import { mkdtempSync, rmSync } from "node:fs";
import { execa } from "execa";
import { expect, test } from "vitest";
import { root } from "../machine/machine.ts";

test("the Docker daemon is restarted by its settings only, and puts no file outside of Berth's own folders", async () => {
  const state = mkdtempSync("/var/tmp/berth-docker-");
  const script = `
    const { readFileSync, writeFileSync } = await import("node:fs");
    const { startDocker, stopDocker } = await import("./local/docker.ts");
    const started = [await startDocker(), await startDocker()];
    const file = "/run/berth-own/docker.pid";
    writeFileSync(file, readFileSync(file, "utf8").replace(/ [0-9a-f]{16}$/m, " of-another-version"));
    started.push(await startDocker());
    console.log(started.join());
    await stopDocker();`;
  // In the test, empty folders hide these folders of the machine.
  const places = ["/etc/docker", "/opt", "/run"];
  const shell = `
    for dir in ${places.join(" ")}; do mount -t tmpfs tmpfs $dir; done
    ip link set lo up
    node --input-type=module --eval '${script}' && find ${places.join(" ")} -not -path "/run/berth-own*" -not -path /run/mount | sort
    ls -A $BERTH_STATE`;
  try {
    const { all } = await execa("unshare", ["--mount", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c", shell], {
      cwd: root,
      env: { BERTH_NAME: "berth-own", BERTH_STATE: state },
      all: true,
    });
    expect(all.split("\n")).toEqual([
      "true,false,true",
      ...places,
      "/run/containerd",
      "/run/docker",
      "docker",
      "etc",
      "log",
    ]);
  } finally {
    rmSync(state, { recursive: true });
  }
});
