/** The least that could stand between a user and a desktop, bytes from one connection to the other. Run by desktop.bench.ts. */
import { connect, createServer } from "node:net";

const [port, host] = process.argv.slice(2);
createServer((client) => {
  const desktop = connect(6080, host);
  client.pipe(desktop).pipe(client);
  client.on("error", () => desktop.destroy()).on("close", () => desktop.destroy());
  desktop.on("error", () => client.destroy());
}).listen(Number(port), "127.0.0.1", () => console.log("listening"));
