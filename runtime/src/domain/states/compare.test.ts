import { expect, test } from "vitest";
import { compare, type SweptObjects, type SweptRow } from "./compare.ts";

const row = (state: SweptRow["state"], changes: Partial<SweptRow> = {}): SweptRow => ({
  id: state,
  namespace: "tenant-acme",
  state,
  workspaceMode: "persistent",
  isKept: false,
  isDue: false,
  ...changes,
});

const made = new Date("2026-01-01T12:00:00Z");
const all: SweptObjects = { namespace: "tenant-acme", pod: "ready", volumeClaim: true, secret: true, since: made };
const { pod: _, ...withoutPod } = all;
const listed = new Set(["tenant-acme"]);
const swept = (
  rows: SweptRow[],
  objects: Record<string, SweptObjects> = {},
  { rowsSince = made, isComplete = true } = {},
) => {
  const listing = { objects: new Map(Object.entries(objects)), listed, isComplete };
  const { toReconcile, ...found } = compare(rows, listing, rowsSince);
  const urgent = toReconcile.filter(({ isUrgent }) => isUrgent);
  return { toReconcile: toReconcile.map(({ id }) => id), urgent: urgent.map(({ id }) => id), ...found };
};

test("a session that is as it should be is left alone", () => {
  const rows = [row("running"), row("suspended"), row("queued"), row("stopped", { isKept: true }), row("failed")];
  const objects = { running: all, suspended: withoutPod, stopped: withoutPod };
  expect(swept(rows, objects)).toEqual({ toReconcile: [], urgent: [], orphans: [], bare: [] });
});

test("sessions in a changing state and sessions past their time limit are found", () => {
  const rows = [row("starting"), row("suspending"), row("stopping"), row("running", { isDue: true })];
  expect(swept(rows, { running: all }).toReconcile).toEqual(["starting", "suspending", "stopping", "running"]);
});

test("a row without its pod or workspace is found", () => {
  expect(swept([row("running")]).bare).toEqual(["running"]);
  expect(swept([row("running")], { running: withoutPod }).toReconcile).toEqual(["running"]);
  expect(swept([row("suspended")], { suspended: { ...withoutPod, volumeClaim: false } }).bare).toEqual(["suspended"]);
});

test("a running session whose pod has ended is found, even if no event has reported the end", () => {
  const pods = ["ready", "pending", "finished", "broken", "displaced", "leaving"] as const;
  const found = pods.map((pod) => swept([row("running")], { running: { ...all, pod } }).toReconcile.length);
  expect(found).toEqual([0, 0, 1, 1, 1, 1]);
});

test("a reconcile is urgent only if the pod's last change shows that a step of its session is due", () => {
  const pods = ["pending", "ready", "finished", "broken", "displaced", "leaving"] as const;
  const urgentIn = (state: SweptRow["state"]) =>
    pods.filter((pod) => swept([row(state)], { [state]: { ...all, pod } }).urgent.length > 0);
  expect(urgentIn("starting")).toEqual(["ready", "finished", "broken", "displaced", "leaving"]);
  expect(urgentIn("running")).toEqual(["finished", "broken", "displaced", "leaving"]);
  // The pod of a session that ends is not being deleted yet.
  expect(urgentIn("stopping")).toEqual(["pending", "ready", "finished", "broken"]);
  expect(urgentIn("suspending")).toEqual(["pending", "ready", "finished", "broken"]);
  // Nothing shows that a sweep of these sessions finds something to do.
  expect(swept([row("starting"), row("stopping"), row("running")]).urgent).toEqual([]);
});

test("objects that outlived their session are found: a pod always, a workspace unless it is retained", () => {
  expect(swept([row("stopped")], { stopped: withoutPod }).toReconcile).toEqual(["stopped"]);
  expect(swept([row("failed", { isKept: true })], { failed: all }).toReconcile).toEqual(["failed"]);
  expect(swept([row("suspended")], { suspended: all }).toReconcile).toEqual(["suspended"]);
});

test("objects without a row are found", () => {
  expect(swept([row("running")], { running: all, nobody: all }).orphans).toEqual([
    { id: "nobody", namespace: "tenant-acme", pod: true, volumeClaim: true, isOlder: false },
  ]);
});

test("if only the pods were listed, nothing is concluded about other objects", () => {
  const objects = { running: { ...all, volumeClaim: false, secret: false }, nobody: all };
  const rows = [row("running"), row("suspended"), row("stopped", { isKept: true })];
  const nothing = { toReconcile: [], urgent: [], orphans: [], bare: [] };
  expect(swept(rows, objects, { isComplete: false })).toEqual(nothing);
  expect(swept([row("running")], {}, { isComplete: false }).bare).toEqual(["running"]);
});

test("objects without a row that are older than the database are reported separately, because another database may know them", () => {
  const older = swept([], { nobody: all }, { rowsSince: new Date(made.getTime() + 1_000) }).orphans;
  expect(older).toMatchObject([{ id: "nobody", isOlder: true }]);
});

test("if a namespace could not be listed, nothing is concluded, and its sessions are reconciled one by one", () => {
  const rows = [row("running", { namespace: "tenant-gone" }), row("queued", { namespace: "tenant-gone" })];
  expect(swept(rows)).toEqual({ toReconcile: ["running"], urgent: [], orphans: [], bare: [] });
});
