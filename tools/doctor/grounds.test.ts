/** Tests on which nodes the doctor's trials run. */
import { expect, test } from "vitest";
import { architectureOf, platformGround, schedulingOf, sessionGrounds, storesGround, volumesOf } from "./grounds.ts";
import { config } from "./testing.ts";

const pool = (name: string) => ({ nodeSelector: { pool: name } });

test("each group of sessions' nodes is tried once, with the names of its tenants", () => {
  const tenants = [
    { name: "acme" },
    { name: "gpu", placement: pool("gpu") },
    { name: "umbrella" },
    { name: "kata", runtimeClassName: "kata" },
    { name: "leaves", placement: pool("old"), remove: true },
  ];
  const grounds = sessionGrounds(config({ placement: { sessions: pool("sessions") }, tenants }));
  expect(
    grounds.map(({ of, key, placement, runtimeClassName }) => [of, key, placement.nodeSelector.pool, runtimeClassName]),
  ).toEqual([
    ["the sessions of acme, umbrella", "placement.sessions", "sessions", null],
    ["the sessions of gpu", "tenants[1].placement", "gpu", null],
    ["the sessions of kata", "placement.sessions", "sessions", "kata"],
  ]);
});

test("without tenants, the nodes are those of placement.sessions", () => {
  expect(sessionGrounds(config({ tenants: [], placement: { sessions: pool("sessions") } }))).toMatchObject([
    { of: "sessions", placement: { nodeSelector: { pool: "sessions" } } },
  ]);
});

test("platform and stores have their own nodes", () => {
  const stack = config({ placement: { platform: pool("berth"), stores: pool("disks") } });
  expect(platformGround(stack).placement.nodeSelector).toMatchObject({ pool: "berth" });
  expect(storesGround(stack).placement.nodeSelector).toMatchObject({ pool: "disks" });
  expect(architectureOf(platformGround(stack).placement)).toBe("arm64");
});

test("a trial follows the rules about nodes, and none about other pods", () => {
  const term = [{ labelSelector: {}, topologyKey: "kubernetes.io/hostname" }];
  const nodeAffinity = {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: "pool", operator: "Exists" }] }],
    },
  };
  const affinity = { nodeAffinity, podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: term } };
  const [ground] = sessionGrounds(
    config({ tenants: [{ name: "acme", runtimeClassName: "kata", placement: { affinity } }] }),
  );
  expect(ground && schedulingOf(ground)).toEqual({
    nodeSelector: { "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64" },
    affinity: { nodeAffinity },
    runtimeClassName: "kata",
  });
});

test("a volume is tried on the nodes of its pods; the same class on the same nodes once", () => {
  const disks = config({
    placement: { stores: pool("disks") },
    tenants: [{ name: "acme" }, { name: "gone", remove: true, workspace: { storageClass: "old" } }],
  });
  const of = (stack: typeof disks) => volumesOf(stack).map(({ storageClass, ground }) => [storageClass, ground.of]);
  expect(of(disks)).toEqual([
    [null, "the stores"],
    [null, "the sessions of acme"],
  ]);
  expect(of(config())).toEqual([[null, "the stores"]]);
});
