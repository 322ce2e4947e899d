/** The leader, chosen by a real API server. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { connectLeases, type LeaseApi, loadKubeConfig } from "../pods/kubernetes.ts";
import { useCluster } from "../testing/cluster.ts";
import { silent, until } from "../testing/fixtures.ts";
import { Leader } from "./leader.ts";

const { namespace } = useCluster();
const leases = connectLeases(loadKubeConfig());

/** So many candidates for a Lease of this test's own. */
function candidates(count: number, leaseSeconds: number, api: LeaseApi = leases): Leader[] {
  const name = `test-${randomBytes(4).toString("hex")}`;
  return Array.from({ length: count }, (_, index) => {
    const identity = `worker-${index}`;
    const leader = new Leader({
      leases: api,
      namespace,
      identity,
      logger: silent,
      name,
      leaseSeconds,
      intervalMs: 200,
    });
    leader.onApplicationBootstrap();
    onTestFinished(() => leader.onApplicationShutdown());
    return leader;
  });
}

const leading = (workers: Leader[]) => workers.filter((worker) => worker.isLeader());

test("of several that begin at once one leads, and no two ever at the same time", async () => {
  const workers = candidates(5, 15);
  await until(() => leading(workers).length > 0);
  for (let looks = 0; looks < 100; looks += 1) {
    expect(leading(workers)).toHaveLength(1);
    await sleep(20);
  }
});

test("a leader that ends gives the Lease up: nobody waits until it has run out", async () => {
  const workers = candidates(3, 3600);
  await until(() => leading(workers).length === 1);
  const [first] = leading(workers);
  await first?.onApplicationShutdown();
  expect(first?.isLeader()).toBe(false);
  await until(() => leading(workers).length === 1);
  expect(leading(workers)).not.toContain(first);
});

test("a leader that can't reach the cluster stops leading before another may begin", async () => {
  let cut = false;
  const through = <F extends (...args: never[]) => Promise<unknown>>(call: F) =>
    ((...args: Parameters<F>) => (cut ? Promise.reject(new Error("cut off")) : call(...args))) as F;
  const cutOff: LeaseApi = {
    createNamespacedLease: through(leases.createNamespacedLease.bind(leases)),
    readNamespacedLease: through(leases.readNamespacedLease.bind(leases)),
    replaceNamespacedLease: through(leases.replaceNamespacedLease.bind(leases)),
  };
  const name = `test-${randomBytes(4).toString("hex")}`;
  const options = { namespace, logger: silent, name, leaseSeconds: 2, intervalMs: 100 };
  const first = new Leader({ ...options, leases: cutOff, identity: "first" });
  first.onApplicationBootstrap();
  await until(() => first.isLeader());
  const second = new Leader({ ...options, leases, identity: "second" });
  second.onApplicationBootstrap();
  onTestFinished(async () => {
    await Promise.all([first.onApplicationShutdown(), second.onApplicationShutdown()]);
  });
  cut = true;
  await until(() => {
    expect(first.isLeader() && second.isLeader()).toBe(false);
    return second.isLeader();
  });
  cut = false;
  await sleep(1_000);
  await until(() => second.isLeader()); // unless a renewal of its is slow just now
  expect(first.isLeader()).toBe(false);
});
