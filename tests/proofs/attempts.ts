/** Attempts to open connections from inside pods. */
import { until } from "@berth/testing/until.ts";

/** tcp: the attempt opens a connection. dns-udp and dns-tcp: the attempt sends a DNS query and waits for the response. */
export type Protocol = "tcp" | "dns-udp" | "dns-tcp";

/**
 * The result of an attempt: "open", "timed out", "refused", "name not found", or the name of another error. A network policy
 * causes a time-out, because the local cluster drops forbidden packets. "refused" means that the target was reached.
 */
export type Outcome = string;

/** An attempt, and its expected result. */
export interface Cell {
  /** The name of the target. A target has the same name in all cells, even if `host` differs. */
  to: string;
  host: string;
  port: number;
  protocol?: Protocol;
  expected: "open" | "timed out";
}

/** Returns a name for the target of the cell, for comparison with other cells. */
export const targetOf = ({ to, port, protocol = "tcp" }: Cell): string => `${to} ${port} ${protocol}`;

/**
 * A Python script for sessions. It runs all attempts at the same time, each for at most 3 s, and prints the results as JSON.
 */
const python = `
import errno, json, socket, struct, sys
from concurrent.futures import ThreadPoolExecutor
query = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + b"".join(bytes([len(p)]) + p for p in b"api.berth.svc.cluster.local".split(b".")) + b"\\0\\0\\1\\0\\1"
def attempt(cell):
    protocol, host, port = cell
    try:
        if protocol == "dns-udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(3); s.connect((host, port)); s.send(query); s.recv(512)
        else:
            with socket.create_connection((host, port), timeout=3) as s:
                if protocol == "dns-tcp":
                    s.sendall(struct.pack(">H", len(query)) + query)
                    if not s.recv(512): return "no answer"
        return "open"
    except socket.gaierror: return "name not found"
    except TimeoutError: return "timed out"
    except ConnectionRefusedError: return "refused"
    except OSError as error: return errno.errorcode.get(error.errno, str(error))
cells = json.loads(sys.argv[1])
with ThreadPoolExecutor(64) as pool: print(json.dumps(list(pool.map(attempt, cells))))`;

/** The same script for Node.js, which the images of API, worker and gateway contain. The script supports only TCP. */
const node = `
const nameOf = ({ code, syscall }) => syscall === "getaddrinfo" ? "name not found" : code === "ECONNREFUSED" ? "refused" : code;
const attempt = ([, host, port]) => new Promise((done) => {
  const socket = require("net").connect({ host, port, timeout: 3000 }, () => { socket.destroy(); done("open"); });
  // If this process got no processor for 3 s, a response may be waiting unread. The process reads it before it reports a
  // time-out.
  socket.on("timeout", () => setImmediate(() => { socket.destroy(); done("timed out"); }));
  socket.on("error", (error) => done(error.code === "ETIMEDOUT" ? "timed out" : nameOf(error)));
});
Promise.all(JSON.parse(process.argv[1]).map(attempt)).then((all) => console.log(JSON.stringify(all)));`;

/** Runs a command in a pod and returns its output. */
export type Shell = (command: string[]) => Promise<string>;

/** A place from which attempts are made. */
export interface Place {
  name: string;
  shell: Shell;
  /** Returns the command that makes all attempts of `list` (JSON). */
  command: (list: string) => string[];
}

/** The commands that make attempts, for places with Node.js or with Python. */
export const commands = {
  session: (list: string) => ["python3", "-c", python, list],
  platform: (list: string) => ["/nodejs/bin/node", "-e", node, list],
  /** The command with the Node.js of the machine that runs the test. For shells that only enter a pod's network namespace. */
  machine: (list: string) => [process.execPath, "-e", node, list],
};

/** The results of one attempt per cell, in the order of the cells. */
async function tryAll({ name, shell, command }: Place, cells: Cell[]): Promise<Outcome[]> {
  const list = cells.map(({ protocol = "tcp", host, port }) => [protocol, host, port]);
  const outcomes = JSON.parse(await shell(command(JSON.stringify(list)))) as Outcome[];
  if (outcomes.length !== cells.length)
    throw new Error(`${name}: ${outcomes.length} of ${cells.length} attempts ended`);
  return outcomes;
}

/**
 * Returns the results in the order of the cells. A target that must be closed is tried once. A target that must be open is
 * tried again for up to two minutes, because the policy that opens it may be newer than the pod.
 */
export async function measure(place: Place, cells: Cell[]): Promise<Outcome[]> {
  const outcomes = await tryAll(place, cells);
  const missing = () => cells.filter(({ expected }, at) => expected === "open" && outcomes[at] !== "open");
  const lookAgain = async () => {
    const again = missing();
    if (again.length === 0) return [];
    for (const [at, outcome] of (await tryAll(place, again)).entries())
      outcomes[cells.indexOf(again[at] as Cell)] = outcome;
    return missing();
  };
  await until("all that must be open answers", 30, lookAgain, (left) => left.length === 0).catch(() => {}); // the table shows the failure
  return outcomes;
}
