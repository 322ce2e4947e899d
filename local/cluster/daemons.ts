/** Starts the cluster's daemons in the node, and restarts those that no longer are what they should be. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { machine } from "../../machine/machine.ts";
import { inCgroup } from "../lib/cgroups.ts";
import { childrenOf, type Daemon, fingerprint, logFile, readProc, signal } from "../lib/process.ts";
import { UserError } from "../lib/steps.ts";
import { inNode, nodePid } from "./node.ts";

const { name } = machine;

export interface ClusterDaemon extends Daemon {
  /** How long SIGTERM is given before SIGKILL when it is restarted, in milliseconds. Default 10 000. */
  stopMs?: number;
  /** Ports of this machine's loopback whose sockets it is given, and where in the node they lead. Default none. */
  forwards?: Forward[];
}

export interface Forward {
  /** On this machine. */
  listen: number;
  host: string;
  port: number;
}

/** Carries the daemon's name and fingerprint in its environment, by which it is known. */
const marker = "BERTH_DAEMON";

/** Leaves the daemon to the node's first process. The log's path comes first. */
const launch = `
  cd /
  exec </dev/null >>"$1" 2>&1
  shift
  "$@" &`;

/** The daemon's process, as this machine counts; undefined unless it runs. */
export function pidOf({ name, command }: Daemon): number | undefined {
  const first = nodePid();
  return first === undefined ? undefined : childrenOf(first).find((pid) => isMarked(pid, name, command));
}

/**
 * Children of the daemon inherit the marker, so the program must match too; where it lies changes with its version. Until the
 * shell that starts the daemon has become that program, its command line is the shell's.
 */
function isMarked(pid: number, name: string, command: string): boolean {
  const [program = "", ...args] = readProc(pid, "cmdline");
  const matches = basename(program) === basename(command) || args.includes(launch);
  return matches && markerOf(pid)?.startsWith(`${name}:`) === true;
}

/** Starts the daemon, or restarts it if its command or its files have changed. Returns whether it was (re)started. */
export async function ensure(daemon: ClusterDaemon): Promise<boolean> {
  const wanted = `${daemon.name}:${fingerprint(daemon, daemon.forwards)}`;
  const pid = pidOf(daemon);
  if (pid !== undefined && markerOf(pid) === wanted) {
    // It may stand still: a test that was killed may have stopped it (fault.ts).
    process.kill(pid, "SIGCONT");
    return false;
  }
  if (pid !== undefined) await end(pid, daemon.stopMs ?? 10_000);
  await start(daemon, wanted);
  return true;
}

async function end(pid: number, stopMs: number): Promise<void> {
  const deadline = performance.now() + stopMs;
  // It is there, as a zombie at least, until all of its threads have ended, which hold its ports.
  for (let next: NodeJS.Signals | 0 = "SIGTERM"; signal(pid, next); await sleep(50))
    next = performance.now() > deadline ? "SIGKILL" : 0;
}

async function start(daemon: ClusterDaemon, mark: string): Promise<void> {
  const sockets = await Promise.all(
    (daemon.forwards ?? []).map(async (to) => ({ to, server: await listen(to.listen) })),
  );
  const run = ["sh", "-c", launch, "sh", logFile(daemon.name), daemon.command, ...daemon.args];
  // Before it enters the node: where systemd has mounted version 2, nobody joins a group from within its namespace.
  const [program = "", ...args] = inCgroup(name, inNode(run));
  const child = spawn(program, args, {
    detached: true,
    stdio: ["ignore", "ignore", "inherit", ...(daemon.forwards ? (["ipc"] as const) : [])],
    env: { ...process.env, ...daemon.env, [marker]: mark },
  });
  const exited = once(child, "exit");
  for (const { to, server } of sockets) await handOver(server, to, child);
  if (daemon.forwards) child.disconnect();
  const [code] = await exited;
  if (code !== 0)
    throw new UserError(
      `${daemon.name} could not be started in the cluster's node (nsenter ended with ${code}). Run npm run down, then the command again.`,
    );
}

async function listen(port: number): Promise<Server> {
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening").catch((error: Error) => {
    throw new UserError(
      `Port ${port} of this machine can't be opened (${error.message}): stop the program that has it (ss -ltnp says which), then run the command again.`,
    );
  });
  return server;
}

async function handOver(server: Server, { host, port }: Forward, child: ChildProcess): Promise<void> {
  const taken = once(child, "message");
  child.send({ host, port }, server);
  await taken;
  server.close();
}

const markerOf = (pid: number): string | undefined =>
  readProc(pid, "environ")
    .find((setting) => setting.startsWith(`${marker}=`))
    ?.slice(marker.length + 1);
