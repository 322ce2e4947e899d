/** Against a daemon of the test's own: what Docker itself makes of a session, the proofs show. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type ClientHttp2Session, connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { withSession } from "./session.ts";

async function daemon(prepare: (server: Server) => void): Promise<string> {
  const server = createServer();
  prepare(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const never = new AbortController().signal;
const unused = () => Promise.reject(new Error("there is no session"));

test("whoever opened a session says that it is well, for as long as it is used", async () => {
  let asks: ClientHttp2Session | undefined;
  const host = await daemon((server) =>
    server.on("upgrade", ({ headers }, socket) => {
      expect(headers).toMatchObject({ upgrade: "h2c", "x-docker-expose-session-uuid": expect.any(String) });
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
      asks = connect("http://daemon", { createConnection: () => socket });
      asks.on("error", () => {}); // a session that was ended
    }),
  );
  const answer = await withSession(host, never, async () => {
    await until("the daemon has the session", 20, () => asks !== undefined);
    const call = asks?.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
    call?.end(Buffer.alloc(5)); // an empty message, behind its length
    return call && buffer(call);
  });
  expect([...(answer ?? [])]).toEqual([0, 0, 0, 0, 2, 8, 1]); // two bytes: field 1 is SERVING
  await until("the session has ended at the daemon too", 20, () => asks?.destroyed);
});

test("a daemon that opens no session is quoted", async () => {
  const host = await daemon((server) =>
    server.on("request", (_, response) => response.writeHead(400).end("No BuildKit.\n")),
  );
  await expect(withSession(host, never, unused)).rejects.toThrow("Docker opened no session: No BuildKit.");
});

test("a daemon that says nothing is waited for no longer than the build is", async () => {
  const build = new AbortController();
  const host = await daemon((server) => server.on("request", () => build.abort()));
  await expect(withSession(host, build.signal, unused)).rejects.toThrow(`Docker at ${host} can't be reached`);
});
