/** The list of the open connections of two processes in a real Redis. */
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test, vi } from "vitest";
import { emptyRedis, silent } from "../testing/fixtures.ts";
import { connectionOf, OpenConnections } from "./openConnections.ts";

const actor = { name: "key:default", address: "192.0.2.1" };
const desktop = connectionOf(actor, "desktop", { mode: "view" });

/** @param closeMs how long a process waits for the process that has a connection */
async function open(closeMs = 600_000) {
  const redis = await emptyRedis();
  const connectionsOf = () => new OpenConnections(redis, silent, closeMs, 0);
  const [here, there] = [connectionsOf(), connectionsOf()];
  onTestFinished(() => [here, there].forEach((each) => void each.beforeApplicationShutdown()));
  const listed = (count: number) =>
    until(
      `${count} connections are listed`,
      10,
      () => here.of("one"),
      (all) => all.length === count,
    );
  return { redis, here, there, listed };
}

test("a connection at any process is listed for its session until it ends", async () => {
  const { here, there, listed } = await open();
  const end = here.add("one", desktop, () => {});
  await listed(1);
  there.add("one", connectionOf({ name: "oidc:somebody" }, "process", { process: "7" }), () => {});
  there.add("two", desktop, () => {});
  expect(await listed(2)).toEqual([
    { ...desktop, id: expect.any(String), since: expect.any(String) },
    expect.objectContaining({ kind: "process", process: "7", mode: null, by: "oidc:somebody", address: null }),
  ]);
  end();
  expect(await listed(1)).toMatchObject([{ kind: "process" }]);
});

test("a connection that ends soon costs no call to Redis", async () => {
  const { redis, here, listed } = await open();
  const calls = vi.spyOn(redis, "pipeline");
  here.add("one", desktop, () => {})();
  here.add("one", connectionOf(actor, "log"), () => {});
  expect(await listed(1)).toMatchObject([{ kind: "log" }]);
  expect(calls).toHaveBeenCalledTimes(1);
});

test("one message closes a connection at the process that has it, and no other connection is closed", async () => {
  const { redis, here, there, listed } = await open();
  const closed: string[] = [];
  for (const name of ["first", "second"]) {
    there.add("one", connectionOf({ name }, "exec"), () => closed.push(name));
  }
  const [first] = await listed(2).then((all) => all.filter(({ by }) => by === "first"));
  await until(
    "the process has subscribed",
    30,
    () => redis.call("PUBSUB", "NUMSUB", "berth:close-connection"),
    (found) => (found as [string, number])[1] === 1,
  );
  // Only the first message arrives.
  const publish = redis.publish.bind(redis);
  vi.spyOn(redis, "publish").mockImplementationOnce(publish).mockResolvedValue(0);
  expect(await until("it is closed", 30, () => here.close("one", first?.id ?? ""))).toBe(true);
  expect(closed).toEqual(["first"]);
  expect(await listed(1)).toMatchObject([{ by: "second" }]);
});

test("after Redis has lost its data, the renewal lists the connections again; those of a dead process expire", async () => {
  const { redis, here, there, listed } = await open();
  here.add("one", desktop, () => {});
  there.add("one", desktop, () => {});
  await listed(2);
  await redis.flushall();
  expect(await here.of("one")).toEqual([]);
  await here.renew();
  await there.renew();
  const [first] = await listed(2);
  await redis.del(`connections:one:${first?.id}`);
  await listed(1);
  expect(await redis.scard("connections:one")).toBe(1);
});

test("if no process closes a connection, the caller is told", async () => {
  const { redis, here, listed } = await open(200);
  await redis.sadd("connections:one", "x");
  await redis.set("connections:one:x", JSON.stringify({ ...desktop, id: "x", since: "2026-01-01T00:00:00.000Z" }));
  await listed(1);
  expect(await here.close("one", "x")).toBe(false);
});
