/** Attempts to connect, made from inside pods. */
import { expect } from "vitest";

/** tcp: a connection is made. dns-udp, dns-tcp: a query is answered there. */
export type Protocol = "tcp" | "dns-udp" | "dns-tcp";
export type Outcome = "open" | "closed";

/** One attempt, and what must come of it. */
export interface Cell {
  to: string;
  host: string;
  port: number;
  protocol?: Protocol;
  expected: Outcome;
}

/** Tries all at the same time, 3 s each; prints their outcomes as JSON. For Python, which sessions have. */
const python = `
import json, socket, struct, sys
from concurrent.futures import ThreadPoolExecutor
query = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + b"".join(bytes([len(p)]) + p for p in b"api.berth.svc.cluster.local".split(b".")) + b"\\0\\0\\1\\0\\1"
def attempt(cell):
    protocol, host, port = cell
    try:
        if protocol == "dns-udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(3); s.sendto(query, (host, port)); s.recv(512)
        else:
            with socket.create_connection((host, port), timeout=3) as s:
                if protocol == "dns-tcp":
                    s.sendall(struct.pack(">H", len(query)) + query)
                    if not s.recv(512): return "closed"
        return "open"
    except OSError:
        return "closed"
cells = json.loads(sys.argv[1])
with ThreadPoolExecutor(64) as pool: print(json.dumps(list(pool.map(attempt, cells))))`;

/** The same for Node, which the platform's pods have; TCP only. */
const node = `
const attempt = ([, host, port]) => new Promise((done) => {
  const socket = require("net").connect({ host, port, timeout: 3000 }, () => { socket.destroy(); done("open"); });
  for (const event of ["timeout", "error"]) socket.on(event, () => { socket.destroy(); done("closed"); });
});
Promise.all(JSON.parse(process.argv[1]).map(attempt)).then((all) => console.log(JSON.stringify(all)));`;

/** What runs a command in a pod and gives back what it prints. */
export type Shell = (command: string[]) => Promise<string>;

/** The commands that make attempts in a pod of each kind. */
export const commands = {
  session: (list: string) => ["python3", "-c", python, list],
  platform: (list: string) => ["/nodejs/bin/node", "-e", node, list],
};

/** The outcomes, in the cells' order. */
export async function tryAll(shell: Shell, command: (list: string) => string[], cells: Cell[]): Promise<Outcome[]> {
  const list = cells.map(({ protocol = "tcp", host, port }) => [protocol, host, port]);
  const outcomes = JSON.parse(await shell(command(JSON.stringify(list)))) as Outcome[];
  expect(outcomes).toHaveLength(cells.length);
  return outcomes;
}
