/** Tests when the wait for images and for autoscalers ends, and what the doctor says until then. */
import { expect, test } from "vitest";
import { imagesProgress, pullerNamespaces, pullerOf } from "./images.ts";
import { scalersProgress } from "./scalers.ts";
import { config } from "./testing.ts";

const daemonSet = (wanted: number, pods: number, observedGeneration = 2) => ({
  metadata: { generation: 2 },
  status: {
    observedGeneration,
    desiredNumberScheduled: wanted,
    currentNumberScheduled: pods,
    numberMisscheduled: 0,
    numberReady: 0,
  },
});
const puller = pullerOf("berth", daemonSet(3, 3));

test("missing images are named once, each with its nodes", () => {
  const missing = [
    { node: "n2", image: "b" },
    { node: "n1", image: "b" },
    { node: "n1", image: "a" },
    { node: "n1", image: "b" },
  ];
  expect(imagesProgress([puller], missing)).toEqual({
    waitsFor: "nodes lack images",
    because: "a on n1; b on n1, n2",
  });
  expect(imagesProgress([puller], [])).toEqual({ done: undefined });
});

test("no puller, one that Kubernetes has not seen, or one without a pod on each of its nodes is no success", () => {
  const beside = (found: Parameters<typeof pullerOf>[1]) =>
    imagesProgress([puller, pullerOf("tenant-acme", found)], []);
  expect(beside(undefined)).toMatchObject({ waitsFor: "the DaemonSet image-puller is missing in tenant-acme" });
  expect(beside(daemonSet(2, 2, 1))).toMatchObject({
    waitsFor: "Kubernetes has not changed the image pullers in tenant-acme",
  });
  expect(beside(daemonSet(2, 1))).toEqual({
    waitsFor: "image pullers lack pods",
    because: "the one in tenant-acme has pods for 1 of 2 nodes",
  });
  // The tenant's sessions may run on no node, so no node lacks an image.
  expect(beside(daemonSet(0, 0))).toEqual({ done: undefined });
});

test("pullers are in the platform's namespace, and in those of tenants with images or nodes of their own", () => {
  const image = { name: "python", image: `ghcr.io/acme/python@sha256:${"0".repeat(64)}` };
  const tenants = [
    { name: "plain" },
    { name: "images", images: [image] },
    { name: "gvisor", runtimeClassName: "gvisor" },
    { name: "pool", placement: { nodeSelector: { pool: "gpu" } } },
    { name: "leaves", images: [image], remove: true },
  ];
  expect(pullerNamespaces(config({ tenants }))).toEqual(["berth", "tenant-images", "tenant-gvisor", "tenant-pool"]);
});

test("the wait for autoscalers names each one without metrics", () => {
  const active = { name: "api", isActive: true, message: "" };
  expect(scalersProgress([active])).toEqual({ done: undefined });
  expect(scalersProgress([active, { name: "worker", isActive: false, message: "unable to get metrics" }])).toEqual({
    waitsFor: "autoscalers have no metrics",
    because: "worker (unable to get metrics)",
  });
});
