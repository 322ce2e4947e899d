import { expect, test } from "vitest";
import { connectionsPerPod } from "./connections.ts";
import { api, worker } from "./platform.ts";
import { postgres } from "./stores.ts";

const users = (maxConnections: number | undefined, pods?: number) => {
  const autoscaling = pods === undefined ? {} : { autoscaling: { min: 1, max: pods } };
  return {
    postgres: postgres.parse({ ...(maxConnections && { maxConnections }) }),
    api: api.parse(autoscaling),
    worker: worker.parse(autoscaling),
    autoscaler: "hpa" as const,
  };
};

test("by default, all pods that there may be, and what else connects, fit Postgres", () => {
  const defaults = users(undefined);
  const pods = defaults.api.autoscaling.max + defaults.worker.autoscaling.max + 2;
  const perPod = connectionsPerPod(defaults);
  expect(perPod).toBe(5);
  expect(pods * perPod + 20).toBeLessThanOrEqual(defaults.postgres.maxConnections);
});

test("without an autoscaler there are never more pods than at least", () => {
  const { api, worker, postgres } = users(60);
  expect(connectionsPerPod({ api, worker, postgres, autoscaler: "hpa" })).toBe(1);
  expect(connectionsPerPod({ api, worker, postgres, autoscaler: "off" })).toBe(5);
});

test("no pod opens more than ten, and an external Postgres has its own limit", () => {
  expect(connectionsPerPod(users(200, 1))).toBe(10);
  const external = { secret: "pg", addresses: [{ cidr: "10.20.0.5/32", port: 5432 }] };
  expect(connectionsPerPod({ ...users(200, 100), postgres: postgres.parse({ external }) })).toBe(10);
});
