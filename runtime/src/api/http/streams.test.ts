import { EventEmitter } from "node:events";
import type { FastifyReply } from "fastify";
import { expect, test } from "vitest";
import { follow } from "../follow.ts";
import { Streams } from "./streams.ts";

const reply = () => ({ request: {}, raw: new EventEmitter() }) as unknown as FastifyReply;

test("an answer that starts during the shutdown is ended at once, without an error and without a listener", async () => {
  const streams = new Streams({ watch: () => () => {} });
  await streams.beforeApplicationShutdown();
  const signal = streams.open("acme", reply());
  expect(signal.aborted).toBe(true);
  let listens = 0;
  const feed = {
    listen: async () => {
      listens += 1;
      return { position: "0" };
    },
  };
  const events = follow({ trail: { ofTenant: async () => [] }, feed }, { tenant: "acme" }, "0", signal, 60_000);
  expect(await events.next()).toEqual({ done: true, value: undefined });
  expect(listens).toBe(0);
});
