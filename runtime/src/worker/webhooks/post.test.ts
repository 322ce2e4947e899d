import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Poster, type PosterOptions } from "./post.ts";

/** Starts a receiver on this machine, and returns a function that posts to it. */
async function open(answer: RequestListener, options?: PosterOptions) {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const poster = new Poster(true, options);
  onTestFinished(() => {
    poster.close();
    server.close();
    server.closeAllConnections();
  });
  return () => poster.post(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), {}, "{}");
}

test("an attempt without an answer fails after its time", async () => {
  const post = await open(() => {}, { timeoutMs: 100 });
  await expect(post()).rejects.toThrow("no answer within 0.1 s");
});

test("a status counts, though the body of the answer never ends", async () => {
  const endless: RequestListener = (_, response) => void response.writeHead(503, { "retry-after": "7" }).write("a");
  const post = await open(endless, { timeoutMs: 5_000 });
  expect(await post()).toEqual({ status: 503, retryAfter: 7 });
});

test("an answer with an endless body counts before its time is over, and its connection is closed", async () => {
  const closed = Promise.withResolvers<void>();
  const post = await open(
    (_, response) => {
      response.on("close", closed.resolve);
      const more = () =>
        void (response.write(Buffer.alloc(16_384)) ? setImmediate(more) : response.once("drain", more));
      more();
    },
    { timeoutMs: 3_600_000 },
  );
  expect(await post()).toMatchObject({ status: 200 });
  await closed.promise;
});

test("a connection that breaks before the answer is a failure", async () => {
  let requests = 0;
  const post = await open((request) => {
    requests += 1;
    request.socket.destroy();
  });
  await expect(post()).rejects.toThrow("socket hang up");
  expect(requests).toBe(1);
});
