import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { promisify } from "node:util";
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { silent } from "../testing/fixtures.ts";
import { WebSockets } from "./webSockets.ts";

test("a client that is refused and never closes its side occupies no connection", async () => {
  const nothing = { take: async () => () => {}, watch: () => () => {}, add: () => () => {} };
  const webSockets = new WebSockets({
    sessionSockets: [],
    addressOf: () => undefined,
    places: nothing,
    revocations: nothing,
    connections: nothing,
    logger: silent,
  });
  const server = createServer().on(
    "upgrade",
    (request, socket, head) => void webSockets.upgrade(request, socket, head),
  );
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, allowHalfOpen: true });
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  client.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
  expect(String((await once(client, "data"))[0])).toMatch(/^HTTP\/1.1 404 /);
  const count = promisify(server.getConnections.bind(server));
  await until("the server has closed the connection", 20, count, (connections) => connections === 0);
});
