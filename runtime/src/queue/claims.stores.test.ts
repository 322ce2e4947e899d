/** Claims of warm sessions, announced from one process to another through a real Redis. */
import { once } from "node:events";
import { until } from "@berth/testing/until.ts";
import { onTestFinished, test } from "vitest";
import { createLogger } from "../telemetry/logging.ts";
import { ownStores, silent } from "../testing/fixtures.ts";
import { Claims } from "./claims.ts";
import { connectRedis } from "./redis.ts";

async function connect(logger = silent) {
  const { redis } = ownStores();
  const config = { REDIS_HOST: redis.host, REDIS_PORT: redis.port, REDIS_TLS: false, redisPassword: redis.password };
  const connection = connectRedis(config, silent);
  onTestFinished(() => connection.disconnect());
  await once(connection, "ready");
  return { connection, claims: new Claims(connection, logger) };
}

test("a listener hears of each claim of any process, also after its connection broke, until it stops", async () => {
  const [one, other] = [await connect(), await connect()];
  const heard: string[] = [];
  const stop = other.claims.listen((id) => heard.push(id));
  const publishUntilHeard = (id: string) =>
    until(
      `the claim of ${id} is announced`,
      20,
      () => {
        one.claims.publish(id);
        return heard;
      },
      (ids) => ids.includes(id),
    );
  await publishUntilHeard("a");
  await one.connection.call("CLIENT", "KILL", "TYPE", "pubsub");
  await publishUntilHeard("b");
  stop();
  const listening = async () => (await one.connection.pubsub("NUMSUB", "berth:claimed"))[1];
  await until("nobody listens", 20, listening, (count) => count === 0);
});

test("a claim that can't be announced is logged, and the claim itself succeeds", async () => {
  const lines: string[] = [];
  const { connection, claims } = await connect(createLogger("warn", "api", { write: (line) => lines.push(line) }));
  connection.disconnect();
  await once(connection, "end");
  claims.publish("a");
  await until("it is logged", 20, () => lines.join().includes("a claim could not be published"));
});
