/**
 * Carries connections to the machine's loopback into the node: `npm run up` opens a port and hands its socket over, with the
 * host and port in the node that it stands for. The argument is the number of sockets.
 *
 * A connection that is refused in the node is reset, and any other that breaks is closed: so both can be told apart.
 */
import { connect, type Server, type Socket } from "node:net";

const carry = (host: string, port: number) => (from: Socket) => {
  const to = connect({ host, port, allowHalfOpen: true });
  from.pipe(to).pipe(from);
  to.on("error", () => (to.pending ? from.resetAndDestroy() : from.destroy())).on("close", () => from.destroy());
  from.on("error", () => to.destroy()).on("close", () => to.destroy());
};

let awaited = Number(process.argv[2]);

process.on("message", ({ host, port }: { host: string; port: number }, server: Server) => {
  awaited -= 1;
  Object.assign(server, { allowHalfOpen: true }).on("connection", carry(host, port));
  process.send?.(port);
});

// If `npm run up` was killed before it had handed over all sockets, the next one starts this program again.
process.on("disconnect", () => {
  if (awaited > 0) process.exit(1);
});
