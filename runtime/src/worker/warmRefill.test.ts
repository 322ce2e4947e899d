import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { silent } from "../testing/fixtures.ts";
import { WarmRefill } from "./warmRefill.ts";

/** A refill that plans once an hour by itself. `refill`: what a planning does. */
function start({ leads = true, refill = async () => false }: { leads?: boolean; refill?: () => Promise<boolean> }) {
  let plannings = 0;
  let claim = () => {};
  const warmRefill = new WarmRefill({
    pools: {
      refill: () => {
        plannings += 1;
        return refill();
      },
    },
    isLeader: () => leads,
    onClaim: (listener) => {
      claim = listener;
      return () => (claim = () => {});
    },
    logger: silent,
    intervalMs: 3_600_000,
  });
  warmRefill.onApplicationBootstrap();
  onTestFinished(() => warmRefill.onApplicationShutdown());
  return {
    plannings: () => plannings,
    reach: (wanted: number) =>
      until(
        `the number of plannings is at least ${wanted}`,
        30,
        () => plannings,
        (count) => count >= wanted,
      ),
    claim: () => claim(),
  };
}

test("a planning begins with a claim, and claims at the same moment share one planning", async () => {
  const { plannings, reach, claim } = start({});
  await reach(1);
  for (let claims = 0; claims < 50; claims += 1) claim();
  await reach(2);
  claim();
  await reach(3);
  expect(plannings()).toBe(3);
});

test("while sessions are missing and others start, the next planning follows without a claim", async () => {
  const { reach } = start({ refill: async () => true });
  await reach(3);
});

test("a planning that fails does not end the refill", async () => {
  const { reach, claim } = start({ refill: () => Promise.reject(new Error("away")) });
  await reach(1);
  claim();
  await reach(2);
});

test("only the leader plans", async () => {
  const leader = start({});
  const other = start({ leads: false });
  other.claim();
  await leader.reach(1);
  expect(other.plannings()).toBe(0);
});
