/**
 * Nothing of the machine's own is touched by a Berth that comes, is used and goes: a Docker with a container and rules of its
 * own, services on the ports that a Kubernetes has, rules, routes, mounts and settings. The Berth is one of its own, beside
 * the one that may be there.
 *
 * With BERTH_UNTOUCHED=cluster without a stack and its test, for a machine that has other work: within
 * `unshare --net --mount --pid --fork --mount-proc` not even the other Docker touches it.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../../machine/machine.ts";
import { changesBetween, type Snapshot, snapshot } from "./machine.ts";
import { berth, env, name, purge } from "./second-berth.ts";

const minutes = 60_000;
const withStack = process.env.BERTH_UNTOUCHED !== "cluster";
/** Of the programs in the node, and next to the ones that Berth opens. */
const neighbours = [2379, 2380, 5012, 5014, 6443, 10248, 10249, 10250, 10256, 10257, 10259, 30092, 30094];
const publishedPort = 18_080;

const cleanUp = new AsyncDisposableStack();
let dockerHost: string;
let container: string;
let before: Snapshot;

/** A command of the other Docker. */
const docker = async (...args: string[]) =>
  (await execa("/usr/bin/docker", args, { env: { DOCKER_HOST: dockerHost } })).stdout;

/** The container answers, and has not been started again. */
async function foreignContainer(): Promise<string> {
  const answer = await (await fetch(`http://127.0.0.1:${publishedPort}`)).text();
  return `${answer} ${await docker("inspect", "--format={{.State.Pid}} {{.State.StartedAt}}", container)}`;
}

beforeAll(async () => {
  await purge(); // of a run that was interrupted
  cleanUp.defer(purge);
  await startForeignDocker();
  container = await startContainer();
  await execa("iptables", ["-I", "DOCKER-USER", "-s", "203.0.113.0/24", "-j", "DROP"]);
  for (const port of neighbours) await occupy(port);
  await until("the other Docker's container answers", 30, foreignContainer);
}, 5 * minutes);

afterAll(() => cleanUp.disposeAsync(), 5 * minutes);

/** A Docker with a bridge and rules of its own, as a user has one; what it has changed is put back afterwards. */
async function startForeignDocker(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "docker-"));
  cleanUp.defer(() => rmSync(dir, { recursive: true, force: true }));
  for (const program of ["iptables", "ip6tables"]) {
    const { stdout: input } = await execa(`${program}-save`);
    cleanUp.defer(async () => void (await execa(`${program}-restore`, { input })));
  }
  const forwarding = (await execa("sysctl", ["--values", "net.ipv4.ip_forward"])).stdout;
  cleanUp.defer(async () => {
    await execa("ip", ["link", "delete", "docker0"], { reject: false });
    await execa("sysctl", [`net.ipv4.ip_forward=${forwarding}`]);
  });
  dockerHost = `unix://${dir}/docker.sock`;
  const places = [`--data-root=${dir}/data`, `--exec-root=${dir}/run`, `--pidfile=${dir}/pid`, `--host=${dockerHost}`];
  writeFileSync(join(dir, "daemon.json"), "{}");
  const noMore = [
    `--config-file=${dir}/daemon.json`,
    "--oom-score-adjust=0",
    "--exec-opt=native.cgroupdriver=cgroupfs",
  ];
  const daemon = execa("dockerd", [...places, ...noMore], { reject: false, all: true });
  cleanUp.defer(async () => {
    daemon.kill();
    await daemon;
  });
  const ended = daemon.then(({ all }) => Promise.reject(new Error(`the other Docker has ended: ${all}`)));
  ended.catch(() => {}); // as it does in the end
  await Promise.race([ended, until("the other Docker answers", 60, () => docker("version"))]);
}

/** Node and the libraries that it needs are all that the container has. */
async function startContainer(): Promise<string> {
  const { stdout } = await execa("ldd", [process.execPath]);
  const files = [process.execPath, ...(stdout.match(/\/\S+(?= \()/g) ?? [])];
  const tar = execa("tar", ["--create", "--dereference", "--absolute-names", ...files], { buffer: false });
  await tar.pipe("/usr/bin/docker", ["import", "-", "foreign"], { env: { DOCKER_HOST: dockerHost } });
  const script = `require("http").createServer((_, response) => response.end("foreign")).listen(80)`;
  const publish = `--publish=127.0.0.1:${publishedPort}:80`;
  const id = await docker("run", "--detach", publish, "foreign", process.execPath, "-e", script);
  cleanUp.defer(async () => void (await docker("rm", "--force", id)));
  return id;
}

/** A service on the port, unless there is one. */
async function occupy(port: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<Server | undefined>();
  const server = createServer((socket) => socket.end()).on("error", () => resolve(undefined));
  server.listen(port, () => resolve(server));
  const opened = await promise;
  cleanUp.defer(() => void opened?.close());
}

/** What has changed since. */
const changes = async () => changesBetween(before, await snapshot(name));

test(
  "Berth comes, is used and goes, and all that was there before is as it was",
  async () => {
    before = await snapshot(name);
    const foreign = await foreignContainer();

    await berth(withStack ? ["local/main.ts", "up"] : ["tests/proofs/cluster-only.ts"]);
    const { sockets = [], ...others } = await changes();
    expect(others).toEqual({});
    const opened = ["127.0.0.1:30093", "127.0.0.1:5013"];
    expect(sockets.map((line) => line.match(/^\+ tcp +LISTEN +\d+ +\d+ +(\S+)/)?.[1] ?? line).sort()).toEqual(opened);
    expect(await foreignContainer()).toBe(foreign);

    if (withStack) {
      const files = ["--project", "e2e", "tests/session.e2e.test.ts"];
      await execa("vitest", ["run", ...files], { cwd: root, env, preferLocal: true, stdio: "inherit" });
    }

    await berth(["local/main.ts", "down"]);
    expect(await changes()).toEqual({});
    expect(await foreignContainer()).toBe(foreign);

    await purge();
    expect(await changes()).toEqual({});
    expect(await foreignContainer()).toBe(foreign);
  },
  14 * minutes,
);
