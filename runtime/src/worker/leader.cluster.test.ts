/** Leader election with a real Kubernetes API server. */
import { randomBytes } from "node:crypto";
import { Hopeless, until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { connectLeases, type LeaseApi, loadKubeConfig } from "../cluster/kubernetes.ts";
import { useCluster } from "../testing/cluster.ts";
import { silent } from "../testing/fixtures.ts";
import { Leader } from "./leader.ts";

const { namespace } = useCluster();
const leases = connectLeases(loadKubeConfig());

/** In seconds. So long that no Lease expires within a test, even with slow renewals. */
const long = 3_600;

/** Candidates for one Lease of the test. Each candidate counts its requests and can be cut off from the API server. */
function election() {
  const name = `test-${randomBytes(4).toString("hex")}`;
  return {
    candidate(identity: string, leaseSeconds: number) {
      const state = { asked: 0, cut: false, led: 0 };
      const through = <F extends (...args: never[]) => Promise<unknown>>(call: F) =>
        ((...args: Parameters<F>) => (state.cut ? Promise.reject(new Error("cut off")) : call(...args))) as F;
      const api: LeaseApi = {
        createNamespacedLease: through(leases.createNamespacedLease.bind(leases)),
        readNamespacedLease: through((request) => {
          state.asked += 1;
          return leases.readNamespacedLease(request);
        }),
        replaceNamespacedLease: through(leases.replaceNamespacedLease.bind(leases)),
      };
      const leader = new Leader({
        leases: api,
        namespace,
        identity,
        logger: silent,
        name,
        leaseSeconds,
        intervalMs: 100,
      });
      leader.onChange((leads) => {
        if (leads) state.led += 1;
      });
      leader.onApplicationBootstrap();
      onTestFinished(() => leader.onApplicationShutdown());
      return Object.assign(state, { identity, leader });
    },
  };
}

type Candidate = ReturnType<ReturnType<typeof election>["candidate"]>;

/** Returns the leader, if there is one. If two lead at the same time, throws an error that ends the wait. */
function leading(candidates: Candidate[]): Candidate | undefined {
  const [one, ...more] = candidates.filter(({ leader }) => leader.isLeader());
  if (more.length > 0) throw new Hopeless(`${more.length + 1} lead at the same time`);
  return one;
}

const oneLeads = (candidates: Candidate[]) => until("one leads", 60, () => leading(candidates));

/** Waits until each candidate has made ten more requests. Fails unless `expected` alone leads during this time. */
async function staysLeader(expected: Candidate, candidates: Candidate[]): Promise<void> {
  const before = candidates.map(({ asked }) => asked);
  await until(
    `each has made ten more requests while ${expected.identity} leads`,
    60,
    () => {
      const now = leading(candidates);
      if (now !== expected) throw new Hopeless(`${now?.identity ?? "nobody"} leads rather than ${expected.identity}`);
      return candidates.map(({ asked }, index) => asked - (before[index] ?? 0));
    },
    (more) => more.every((asked) => asked >= 10),
  );
}

test("of several candidates that start at once one leads, and never two at the same time", async () => {
  const { candidate } = election();
  const candidates = [1, 2, 3, 4, 5].map((number) => candidate(`worker-${number}`, long));
  const first = await oneLeads(candidates);
  await staysLeader(first, candidates);
  expect(candidates.map(({ led }) => led)).toEqual(candidates.map((one) => (one === first ? 1 : 0)));
});

test("a leader that ends gives up the Lease, so nobody waits until it expires", async () => {
  const { candidate } = election();
  const candidates = [1, 2, 3].map((number) => candidate(`worker-${number}`, long));
  const first = await oneLeads(candidates);
  await first.leader.onApplicationShutdown();
  const others = candidates.filter((one) => one !== first);
  await staysLeader(await oneLeads(candidates), others);
  expect(first.leader.isLeader()).toBe(false);
});

test("a leader that can't reach the cluster stops leading before another candidate may start", async () => {
  const { candidate } = election();
  const first = candidate("first", 2);
  await oneLeads([first]);
  first.cut = true;
  const second = candidate("second", long);
  const both = [first, second];
  await until("the second leads", 60, () => leading(both) === second);
  first.cut = false;
  await staysLeader(second, both);
});
