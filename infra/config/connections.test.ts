import { expect, test } from "vitest";
import { connectionsPerPod } from "./connections.ts";
import { api, gateway, worker } from "./platform.ts";
import { postgres } from "./stores.ts";

const users = (maxConnections: number | undefined, pods?: number) => {
  const autoscaling = pods === undefined ? {} : { autoscaling: { min: 1, max: pods } };
  return {
    postgres: postgres.parse({ ...(maxConnections && { maxConnections }) }),
    api: api.parse(autoscaling),
    worker: worker.parse(autoscaling),
    gateway: "inside" as const,
    autoscaler: "hpa" as const,
  };
};

test("with the defaults, Postgres has enough connections for the highest number of pods and for other clients", () => {
  const defaults = users(undefined);
  const pods = defaults.api.autoscaling.max + defaults.worker.autoscaling.max + 2;
  const perPod = connectionsPerPod(defaults);
  expect(perPod).toBe(5);
  expect(pods * perPod + 20).toBeLessThanOrEqual(defaults.postgres.maxConnections);
});

test("without an autoscaler, `min` pods share the connections", () => {
  expect(connectionsPerPod(users(65))).toBe(1);
  expect(connectionsPerPod({ ...users(65), autoscaler: "off" })).toBe(6);
});

test("pods of a separate gateway get a share of the connections", () => {
  const separate = { ...users(undefined), gateway: gateway.parse({}) };
  expect(connectionsPerPod(separate)).toBe(4);
  expect(connectionsPerPod({ ...separate, autoscaler: "off" })).toBe(10);
});

test("no pod opens more than ten connections, also to an external Postgres", () => {
  expect(connectionsPerPod(users(200, 1))).toBe(10);
  const external = { secret: "pg", addresses: [{ cidr: "10.20.0.5/32", port: 5432 }] };
  expect(connectionsPerPod({ ...users(200, 100), postgres: postgres.parse({ external }) })).toBe(10);
});
