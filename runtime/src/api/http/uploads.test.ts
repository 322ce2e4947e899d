import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { fastify } from "fastify";
import { expect, onTestFinished, test } from "vitest";
import { takeBodies } from "./uploads.ts";

/** A server whose JSON bodies must arrive within `ms` milliseconds. */
async function open(ms: number) {
  const server = fastify();
  takeBodies(server, ms);
  server.post("/json", async ({ body }) => ({ body }));
  server.put("/file", { config: { takesFile: true } }, async (request) => {
    let bytes = 0;
    for await (const part of request.raw) bytes += part.length;
    return { bytes };
  });
  await server.listen({ port: 0, host: "127.0.0.1" });
  onTestFinished(() => server.close());
  const { port } = server.server.address() as AddressInfo;
  return (method: string, path: string, headers: Record<string, string>) => {
    const sent = request({ port, method, path, headers });
    const answer = once(sent, "response").then(async ([response]: IncomingMessage[]) =>
      JSON.parse(Buffer.concat((await response?.toArray()) ?? []).toString()),
    );
    return { sent, answer };
  };
}

test("a body that doesn't arrive ends its connection, except for a file's body, which is accepted with any type", async () => {
  const begin = await open(50);
  const headers = { "content-type": "application/json", "transfer-encoding": "chunked" };
  const slow = begin("POST", "/json", headers);
  slow.sent.write("{");
  await expect(slow.answer).rejects.toThrow("socket hang up");

  const file = begin("PUT", "/file", headers);
  file.sent.write("{");
  const another = begin("POST", "/json", headers);
  another.sent.write("[");
  await expect(another.answer).rejects.toThrow(); // until now, the time limit for JSON would have ended a file's body too
  file.sent.end("not JSON");
  expect(await file.answer).toEqual({ bytes: 9 });
});

test("JSON is parsed, a missing body becomes undefined, and only file routes accept bytes", async () => {
  const begin = await open(5_000);
  const json = begin("POST", "/json", { "content-type": "application/json" });
  json.sent.end('{"a":1}');
  expect(await json.answer).toEqual({ body: { a: 1 } });
  const none = begin("POST", "/json", { "content-type": "application/json" });
  none.sent.end();
  expect(await none.answer).toEqual({});
  const bytes = begin("POST", "/json", { "content-type": "application/octet-stream" });
  bytes.sent.end("x");
  expect(await bytes.answer).toMatchObject({ statusCode: 415 });
  const empty = begin("PUT", "/file", {});
  empty.sent.end();
  expect(await empty.answer).toEqual({ bytes: 0 });
});
