import type { V1Pod } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { missingImages } from "./missingImages.ts";

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

const list = async (...items: V1Pod[]) => {
  const asked: unknown[] = [];
  const core = {
    listNamespacedPod: async (query: unknown) => {
      asked.push(query);
      return { items };
    },
  };
  const missing = await missingImages(core as never, "tenant-acme");
  expect(asked).toEqual([{ namespace: "tenant-acme", labelSelector: "app.kubernetes.io/name=image-puller" }]);
  return missing;
};

test("an image that is not pulled is missing on its node, that of the init container too", async () => {
  const images = ["berthd", "node", "python"];
  expect(await list(pod("a", images, images), pod("b", images, ["berthd", "python"]), pod("c", images, []))).toEqual([
    { node: "b", image: "node" },
    { node: "c", image: "berthd" },
    { node: "c", image: "node" },
    { node: "c", image: "python" },
  ]);
});

test("a pod whose kubelet has said nothing yet misses all its images; one without a node, or that goes, misses none", async () => {
  const { spec } = pod("a", ["berthd", "node"], []);
  const gone = { deletionTimestamp: new Date() };
  expect(
    await list({ spec } as V1Pod, pod(undefined, ["berthd", "node"], []), pod("b", ["berthd", "node"], [], gone)),
  ).toEqual([
    { node: "a", image: "berthd" },
    { node: "a", image: "node" },
  ]);
});

test("an image of two pods of a node, of which one replaces the other, is missing once", async () => {
  expect(await list(pod("a", ["berthd", "node"], ["berthd"]), pod("a", ["berthd", "node"], ["berthd"]))).toHaveLength(
    1,
  );
});
