import type { V1Pod } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { tenant } from "../testing/fixtures.ts";
import { pullersOf, readPullers } from "./missingImages.ts";

/** A puller's pod on a node. `pulled`: the names of the containers whose image the node has. */
const pod = (node: string | undefined, images: string[], pulled: string[], metadata: V1Pod["metadata"] = {}): V1Pod => {
  const [copy = "", ...rest] = images;
  const container = (image: string) => ({ name: `of-${image}`, image });
  const status = (image: string) => ({
    ...container(image),
    imageID: pulled.includes(image) ? `registry/${image}@sha256:1` : "",
    ready: false,
    restartCount: 0,
  });
  return {
    metadata,
    spec: {
      ...(node !== undefined && { nodeName: node }),
      initContainers: [container(copy)],
      containers: rest.map(container),
    },
    status: { initContainerStatuses: [status(copy)], containerStatuses: rest.map(status) },
  };
};

const read = async (...items: V1Pod[]) => {
  const asked: unknown[] = [];
  const core = {
    listNamespacedPod: async (query: unknown) => {
      asked.push(query);
      return { items };
    },
  };
  const found = await readPullers(core as never, "tenant-acme");
  expect(asked).toEqual([{ namespace: "tenant-acme", labelSelector: "app.kubernetes.io/name=image-puller" }]);
  return found;
};

const list = async (...items: V1Pod[]) => (await read(...items)).missing;

test("an image that is not pulled is missing on its node, that of the init container too", async () => {
  const images = ["berthd", "node", "python"];
  expect(await list(pod("a", images, images), pod("b", images, ["berthd", "python"]), pod("c", images, []))).toEqual([
    { node: "b", image: "node" },
    { node: "c", image: "berthd" },
    { node: "c", image: "node" },
    { node: "c", image: "python" },
  ]);
});

test("a pod whose kubelet has said nothing yet misses all its images; one that goes misses none", async () => {
  const { spec } = pod("a", ["berthd", "node"], []);
  const gone = { deletionTimestamp: new Date() };
  expect(await list({ spec } as V1Pod, pod("b", ["berthd", "node"], [], gone))).toEqual([
    { node: "a", image: "berthd" },
    { node: "a", image: "node" },
  ]);
});

/** A pod that waits for its node. @param message of the scheduler; undefined: the scheduler has not looked at the pod yet */
const waiting = (node: string, message?: string): V1Pod => ({
  spec: {
    ...pod(undefined, ["berthd", "node"], []).spec,
    containers: [{ name: "of-node", image: "node" }],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [
            {
              matchExpressions: [{ key: "pool", operator: "In", values: ["sessions"] }],
              matchFields: [{ key: "metadata.name", operator: "In", values: [node] }],
            },
          ],
        },
      },
    },
  },
  ...(message !== undefined && {
    status: { conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }] },
  }),
});

test.each([
  ["nothing yet", undefined],
  [
    "too many pods",
    "0/3 nodes are available: 1 Too many pods, 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
  ],
  ["no memory", "0/3 nodes are available: 1 Insufficient memory, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."],
  ["words that Berth does not know", "the scheduler is on strike"],
])("a node without room for the puller's pod lacks all its images; the scheduler says: %s", async (_, message) => {
  expect(await list(waiting("full", message))).toEqual([
    { node: "full", image: "berthd" },
    { node: "full", image: "node" },
  ]);
});

test("a node that the RuntimeClass of the sessions excludes lacks no image", async () => {
  const excluded =
    "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
  expect(await list(waiting("without-gvisor", excluded))).toEqual([]);
});

test("an image of two pods of a node, of which one replaces the other, is missing once", async () => {
  expect(await list(pod("a", ["berthd", "node"], ["berthd"]), pod("a", ["berthd", "node"], ["berthd"]))).toHaveLength(
    1,
  );
});

test("a node counts once if a pod of the puller is ready on it", async () => {
  const withStatus = (node: string, status: string, metadata: V1Pod["metadata"] = {}): V1Pod => ({
    metadata,
    spec: { nodeName: node, containers: [] },
    status: { conditions: [{ type: "Ready", status }] },
  });
  const gone = { deletionTimestamp: new Date() };
  const pods = [
    withStatus("a", "True"),
    withStatus("a", "True"),
    withStatus("b", "False"),
    withStatus("c", "True", gone),
  ];
  expect((await read(...pods, withStatus("d", "True"), pod("e", ["berthd"], []))).nodes).toEqual(["a", "d"]);
});

test("the pullers are the platform's one, and those of the tenants that have one by the tenants file", () => {
  const tenants = [tenant("acme"), tenant("pool", { hasImagePuller: true })];
  expect(pullersOf("berth", tenants)).toEqual([
    { namespace: "berth", tenant: "" },
    { namespace: "tenant-pool", tenant: "pool" },
  ]);
});
