/**
 * Carries connections from the machine's loopback into the node. For each port, `npm run up` opens a socket and hands it to this
 * program, with the target's host and port in the node. The argument is the number of sockets.
 *
 * If the target can't be reached, this program resets the client's connection. If the connection to the target breaks later, this
 * program closes the client's connection. So a client can tell the two cases apart.
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

// If `npm run up` was killed before it had handed over all sockets, this program ends, and the next `npm run up` starts it again.
process.on("disconnect", () => {
  if (awaited > 0) process.exit(1);
});
