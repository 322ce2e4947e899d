/**
 * Starting, using and removing a Berth changes nothing that belongs to the machine: a Docker with its own container and
 * firewall rules, services on the ports that Kubernetes uses, firewall rules, routes, mounts and kernel settings. The proof
 * uses a separate Berth, beside the Berth that may already run on the machine.
 *
 * With BERTH_UNTOUCHED=cluster, the proof deploys no stack and does not run the stack's test. This is for a machine that has
 * other work to do. If you start the proof with `unshare --net --mount --pid --fork --mount-proc`, the Docker that the proof
 * starts for comparison does not change the machine either.
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
/** The ports that this Berth opens on the machine's loopback. */
const opened = [env.BERTH_REGISTRY_PORT, env.BERTH_API_PORT, env.BERTH_SANDBOX_PORT].map(Number);
/** Ports of programs in the node, and ports next to those that Berth opens. */
const neighbours = [
  ...[2379, 2380, 6443, 10248, 10249, 10250, 10256, 10257, 10259],
  ...opened.flatMap((port) => [port - 1, port + 1]).filter((port) => !opened.includes(port)),
];
const publishedPort = 18_080;

const cleanUp = new AsyncDisposableStack();
let dockerHost: string;
let container: string;
let before: Snapshot;

/** Runs a command of the other Docker, which the proof starts for comparison. */
const docker = async (...args: string[]) =>
  (await execa("/usr/bin/docker", args, { env: { DOCKER_HOST: dockerHost } })).stdout;

/**
 * Returns the answer of the other Docker's container, its process ID and its start time. The text stays the same unless the
 * container is restarted.
 */
async function foreignContainer(): Promise<string> {
  const answer = await (await fetch(`http://127.0.0.1:${publishedPort}`)).text();
  return `${answer} ${await docker("inspect", "--format={{.State.Pid}} {{.State.StartedAt}}", container)}`;
}

beforeAll(async () => {
  await purge(); // removes what an interrupted run has left
  cleanUp.defer(purge);
  await startForeignDocker();
  container = await startContainer();
  await execa("iptables", ["-I", "DOCKER-USER", "-s", "203.0.113.0/24", "-j", "DROP"]);
  for (const port of neighbours) await occupy(port);
  await until("the other Docker's container answers", 30, foreignContainer);
}, 5 * minutes);

afterAll(() => cleanUp.disposeAsync(), 5 * minutes);

/** Starts a Docker with a bridge and firewall rules, as a user may have it. The clean-up undoes its changes. */
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
  ended.catch(() => {}); // the daemon always ends, at the latest in the clean-up
  await Promise.race([ended, until("the other Docker answers", 60, () => docker("version"))]);
}

/** Starts a container that contains only Node.js and the libraries that Node.js needs. */
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

/** Starts a service on the port, unless the port is already used. */
async function occupy(port: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<Server | undefined>();
  const server = createServer((socket) => socket.end()).on("error", () => resolve(undefined));
  server.listen(port, () => resolve(server));
  const service = await promise;
  cleanUp.defer(() => void service?.close());
}

/** Returns what has changed on the machine since the snapshot. */
const changes = async () => changesBetween(before, await snapshot(name));

test(
  "starting, using and removing a Berth leaves the rest of the machine unchanged",
  async () => {
    before = await snapshot(name);
    const foreign = await foreignContainer();

    await berth(withStack ? ["local/main.ts", "up"] : ["tests/proofs/cluster-only.ts"]);
    const { sockets = [], ...others } = await changes();
    expect(others).toEqual({});
    expect(sockets.map((line) => line.match(/^\+ tcp +LISTEN +\d+ +\d+ +(\S+)/)?.[1] ?? line).sort()).toEqual(
      opened.map((port) => `127.0.0.1:${port}`).sort(),
    );
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
