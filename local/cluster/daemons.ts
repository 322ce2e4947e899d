/** Starts the cluster's daemons in the node, and restarts a daemon whose command or files have changed. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { machine } from "../../machine/machine.ts";
import { inCgroup } from "../lib/cgroups.ts";
import { type Daemon, fingerprint, fingerprintOf, firstOf, runs, signal, start, stop } from "../lib/process.ts";
import { UserError } from "../lib/steps.ts";
import { inNode } from "./node.ts";

export interface ClusterDaemon extends Daemon {
  /** The time in milliseconds between SIGTERM and SIGKILL when the daemon is restarted. Default: 10 000. */
  stopMs?: number;
  /**
   * Ports of this machine's loopback, with their targets in the node. The daemon receives a socket for each port. Default: none.
   */
  forwards?: Forward[];
}

export interface Forward {
  /** The port on this machine. `host` and `port` are the target in the node. */
  listen: number;
  host: string;
  port: number;
}

/** The daemon's pid in this machine's pid namespace; undefined unless the daemon runs. */
export const pidInNode = ({ name }: Daemon): number | undefined => firstOf(name);

/**
 * Starts the daemon unless it runs. Restarts a running daemon whose command, files or forwards have changed. Returns whether the
 * daemon was started or restarted.
 */
export async function ensure(daemon: ClusterDaemon): Promise<boolean> {
  const { name, forwards = [], stopMs = 10_000 } = daemon;
  const wanted = fingerprint(daemon, forwards);
  const pid = pidInNode(daemon);
  if (pid !== undefined && fingerprintOf(name) === wanted) {
    signal(pid, "SIGCONT"); // a killed test may have left the daemon frozen (tests/proofs/fault.ts)
    return false;
  }
  await stop(name, stopMs);
  const sockets = await Promise.all(forwards.map(async (to) => ({ to, server: await listen(to.listen) })));
  const child = start(inTheNode(daemon), wanted, forwards.length > 0);
  if (child) for (const { to, server } of sockets) await handOver(server, to, child);
  if (child?.connected) child.disconnect();
  while (runs(name) && pidInNode(daemon) === undefined) await sleep(20);
  return true;
}

/**
 * Returns a daemon whose command is a shell that runs the given daemon as its child. The daemon's pid file contains the shell's
 * pid; `pidInNode` returns the child's pid. When the shell or its child ends, the other ends too. The shell itself stays
 * outside the node's pid namespace. The shell joins the control group before it enters the node, because with cgroup v2 under
 * systemd no process can join a group from inside the group's namespace.
 */
function inTheNode({ command, args, ...daemon }: Daemon): Daemon {
  const shell = ["sh", "-c", 'cd /; setpriv --pdeathsig=KILL -- "$@" & wait $!', "sh", command, ...args];
  const [program = "", ...rest] = inCgroup(machine.name, inNode(shell, "--no-fork"));
  return { ...daemon, command: program, args: rest };
}

async function listen(port: number): Promise<Server> {
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening").catch((error: Error) => {
    throw new UserError(
      `Port ${port} of this machine can't be opened (${error.message}): stop the program that uses the port (ss -ltnp shows the program), then run the command again.`,
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
