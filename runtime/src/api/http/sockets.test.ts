import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { createChannel } from "../../channel/channel.ts";
import { silent } from "../../testing/fixtures.ts";
import { capConnections, closeWhenIdle, idleOptions } from "./sockets.ts";

async function open(idleMs: number, total: number, perAddress?: number) {
  const server = createServer(idleOptions(idleMs), (_request, response) => response.end("ok"));
  capConnections(server, total, perAddress);
  return listening(server);
}

/** Makes the server listen. Returns a function that connects to it. */
async function listening(server: Server) {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const sockets: Socket[] = [];
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (localAddress = "127.0.0.1") => {
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: "127.0.0.1", localAddress }).on("error", () => {});
    socket.resume(); // a socket notices its end only if it is read
    sockets.push(socket);
    return socket;
  };
}

const ask = (socket: Socket) =>
  new Promise<string>((resolve) => {
    socket.on("data", (data) => resolve(String(data).slice(0, 15)));
    socket.once("close", () => resolve("closed"));
    socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  });

test("a connection that sends nothing, or half of a request, is closed", async () => {
  const connection = await open(200, 10);
  const [silentOne, slowOne] = [connection(), connection()];
  slowOne.write("GET / HTTP/1.1\r\nhost:");
  await until("both are closed", 20, () => silentOne.closed && slowOne.closed);
});

test("a connection that is idle after its request is closed; one with a next request is not", async () => {
  const held: ServerResponse[] = [];
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    if (request.url === "/held") return void held.push(response);
    response.once("finish", () => closeWhenIdle(request.socket, 200)).end("ok");
  });
  const connection = await listening(server);
  const [idle, busy] = [connection(), connection()];
  let answers = "";
  busy.on("data", (data) => (answers += data));
  expect(await ask(idle)).toBe("HTTP/1.1 200 OK");
  busy.write("GET / HTTP/1.1\r\nhost: x\r\n\r\nGET /held HTTP/1.1\r\nhost: x\r\n\r\n");
  await until("the idle one is closed, and the other's request is there", 20, () => idle.closed && held.length === 1);
  held[0]?.end("ok");
  await until("both of the other's are answered", 20, () => answers.split("200 OK").length === 3);
});

test("the connections per address and per port are limited; a closed one makes room", async () => {
  const connection = await open(60_000, 3, 2);
  const [first, second] = [connection(), connection()];
  expect(await ask(first)).toBe("HTTP/1.1 200 OK");
  expect(await ask(second)).toBe("HTTP/1.1 200 OK");
  expect(await ask(connection())).toBe("closed");
  expect(await ask(connection("127.0.0.2"))).toBe("HTTP/1.1 200 OK");
  expect(await ask(connection("127.0.0.3"))).toBe("closed");
  first.destroy();
  await until("there is room", 20, async () => (await ask(connection())) === "HTTP/1.1 200 OK");
});

test("the in-pod channel has both limits", () => {
  const { server } = createChannel({ tokenKeys: undefined, logger: silent } as unknown as Parameters<
    typeof createChannel
  >[0]);
  expect([server.headersTimeout, server.maxConnections]).toEqual([10_000, 20_000]);
  expect(server.listenerCount("connection")).toBeGreaterThan(1);
});
