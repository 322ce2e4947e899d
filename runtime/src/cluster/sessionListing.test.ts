import type { V1Pod, V1PodStatus } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { sessionLabel } from "./names.ts";
import { listSessionObjects } from "./sessionListing.ts";

const made = new Date("2026-01-01T12:00:00Z");
const metadata = (id: string) => ({ labels: { [sessionLabel]: id }, creationTimestamp: made });
const pod = (id: string, status: V1PodStatus, more: V1Pod["metadata"] = {}): V1Pod => ({
  metadata: { ...metadata(id), ...more },
  status,
});
const terminated = { exitCode: 0 };
const container = { name: "agent", image: "", imageID: "", ready: false, restartCount: 0, state: { terminated } };
const ready = { phase: "Running", podIP: "10.0.0.1", conditions: [{ type: "Ready", status: "True" }] };

test("the list says of each pod whether it is over, and of each session which other objects it has", async () => {
  const pods = [
    pod("starts", { phase: "Pending" }),
    pod("runs", ready),
    pod("ended", { phase: "Succeeded" }),
    pod("failed", { phase: "Failed" }),
    pod("without its agent", { ...ready, containerStatuses: [container] }),
    pod("leaves", ready, { deletionTimestamp: made }),
  ];
  const list = async (items: object[]) => ({ items, metadata: {} }) as never;
  const found = await listSessionObjects(
    {
      listNamespacedPod: () => list(pods),
      listNamespacedPersistentVolumeClaim: () => list([{ metadata: metadata("runs") }]),
      listNamespacedSecret: () => list([{ metadata: metadata("runs") }, { metadata: metadata("suspended") }]),
    },
    "tenant-acme",
  );
  const over = [...found].filter(([, { isOver }]) => isOver).map(([id]) => id);
  expect(over).toEqual(["ended", "failed", "without its agent", "leaves"]);
  expect(found.get("runs")).toEqual({ pod: true, isOver: false, claim: true, secret: true, since: made });
  expect(found.get("suspended")).toEqual({ pod: false, isOver: false, claim: false, secret: true, since: made });
});
