/**
 * Carries connections to the machine's loopback into the node: `npm run up` opens a port and hands its socket over, with the
 * host and port in the node that it stands for.
 */
import { connect, type Server, type Socket } from "node:net";

const carry = (host: string, port: number) => (from: Socket) => {
  const to = connect({ host, port, allowHalfOpen: true });
  from.pipe(to).pipe(from);
  for (const [one, other] of [
    [from, to],
    [to, from],
  ] as const)
    one.on("error", () => other.destroy()).on("close", () => other.destroy());
};

process.on("message", ({ host, port }: { host: string; port: number }, server: Server) => {
  Object.assign(server, { allowHalfOpen: true }).on("connection", carry(host, port));
  process.send?.(port);
});
