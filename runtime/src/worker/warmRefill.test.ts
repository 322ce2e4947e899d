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
  return { plannings: () => plannings, claim: () => claim() };
}

test("a planning begins with a claim, and claims at the same moment share one planning", async () => {
  const { plannings, claim } = start({});
  await expect.poll(plannings).toBe(1);
  for (let claims = 0; claims < 50; claims += 1) claim();
  await expect.poll(plannings).toBe(2);
  claim();
  await expect.poll(plannings).toBe(3);
});

test("while sessions are missing and others start, the next planning follows without a claim", async () => {
  const { plannings } = start({ refill: async () => true });
  await expect.poll(plannings).toBeGreaterThan(2);
});

test("a planning that fails does not end the refill", async () => {
  const { plannings, claim } = start({ refill: () => Promise.reject(new Error("away")) });
  await expect.poll(plannings).toBe(1);
  claim();
  await expect.poll(plannings).toBe(2);
});

test("only the leader plans", async () => {
  const leader = start({});
  const other = start({ leads: false });
  other.claim();
  await expect.poll(leader.plannings).toBe(1);
  expect(other.plannings()).toBe(0);
});
