/** Attempts to connect, made from inside pods. */
import { until } from "@berth/testing/until.ts";

/** tcp: a connection is made. dns-udp, dns-tcp: a query is answered there. */
export type Protocol = "tcp" | "dns-udp" | "dns-tcp";

/**
 * What came of an attempt: "open", "timed out", "refused", "name not found", or the name of another error. A policy shows
 * as a time-out, because the local cluster drops what is not allowed. A refusal comes from whoever was reached.
 */
export type Outcome = string;

/** One attempt, and what must come of it. */
export interface Cell {
  /** The same target has the same name in all cells, whatever `host` is. */
  to: string;
  host: string;
  port: number;
  protocol?: Protocol;
  expected: "open" | "timed out";
}

/** Names what the cell tries, for comparison with other cells. */
export const targetOf = ({ to, port, protocol = "tcp" }: Cell): string => `${to} ${port} ${protocol}`;

/** Tries all at the same time, 3 s each; prints their outcomes as JSON. For Python, which sessions have. */
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

/** The same for Node, which the platform's pods have; TCP only. */
const node = `
const nameOf = ({ code, syscall }) => syscall === "getaddrinfo" ? "name not found" : code === "ECONNREFUSED" ? "refused" : code;
const attempt = ([, host, port]) => new Promise((done) => {
  const socket = require("net").connect({ host, port, timeout: 3000 }, () => { socket.destroy(); done("open"); });
  // A process that got no processor for 3 s may have an answer that it has not read yet: that comes first.
  socket.on("timeout", () => setImmediate(() => { socket.destroy(); done("timed out"); }));
  socket.on("error", (error) => done(error.code === "ETIMEDOUT" ? "timed out" : nameOf(error)));
});
Promise.all(JSON.parse(process.argv[1]).map(attempt)).then((all) => console.log(JSON.stringify(all)));`;

/** What runs a command in a pod and gives back what it prints. */
export type Shell = (command: string[]) => Promise<string>;

/** A place to try from. */
export interface Place {
  name: string;
  shell: Shell;
  /** Makes the attempts of a list there. */
  command: (list: string) => string[];
}

/** The commands that make attempts, by where Node or Python is. */
export const commands = {
  session: (list: string) => ["python3", "-c", python, list],
  platform: (list: string) => ["/nodejs/bin/node", "-e", node, list],
  /** Of this machine, for shells that only enter a pod's network. */
  machine: (list: string) => [process.execPath, "-e", node, list],
};

/** The outcomes of one try each, in the cells' order. */
async function tryAll({ name, shell, command }: Place, cells: Cell[]): Promise<Outcome[]> {
  const list = cells.map(({ protocol = "tcp", host, port }) => [protocol, host, port]);
  const outcomes = JSON.parse(await shell(command(JSON.stringify(list)))) as Outcome[];
  if (outcomes.length !== cells.length)
    throw new Error(`${name}: ${outcomes.length} of ${cells.length} attempts ended`);
  return outcomes;
}

/**
 * The outcomes in the cells' order. What must be closed has one try. What must be open is tried again for half a minute:
 * the policy that opens it may be younger than the pod.
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
  await until("all that must be open answers", 30, lookAgain, (left) => left.length === 0).catch(() => {}); // the table tells
  return outcomes;
}
