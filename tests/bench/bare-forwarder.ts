/**
 * The simplest possible forwarder between a user and a pod, which only copies bytes from one connection to the other.
 * desktop.bench.ts and data.bench.ts run it as `bare-forwarder.ts PORT HOST HOST-PORT`.
 */
import { connect, createServer } from "node:net";

const [port, host, hostPort] = process.argv.slice(2);
createServer((client) => {
  const pod = connect(Number(hostPort), host);
  client.pipe(pod).pipe(client);
  client.on("error", () => pod.destroy()).on("close", () => pod.destroy());
  pod.on("error", () => client.destroy()).on("close", () => client.destroy());
}).listen(Number(port), "127.0.0.1", () => console.log("listening"));
