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
const all: SweptObjects = {
  namespace: "tenant-acme",
  pod: true,
  isOver: false,
  claim: true,
  secret: true,
  since: made,
};
const listed = new Set(["tenant-acme"]);
const swept = (rows: SweptRow[], objects: Record<string, SweptObjects> = {}, rowsSince = made) =>
  compare(rows, new Map(Object.entries(objects)), listed, rowsSince);

test("a session that is as it should be is left alone", () => {
  const rows = [row("running"), row("suspended"), row("queued"), row("stopped", { isKept: true }), row("failed")];
  const objects = { running: all, suspended: { ...all, pod: false }, stopped: { ...all, pod: false } };
  expect(swept(rows, objects)).toEqual({ toReconcile: [], orphans: [], bare: [] });
});

test("sessions in a changing state and sessions past their time limit are found", () => {
  const rows = [row("starting"), row("suspending"), row("stopping"), row("running", { isDue: true })];
  expect(swept(rows, { running: all }).toReconcile).toEqual(["starting", "suspending", "stopping", "running"]);
});

test("a row without its pod or workspace is found", () => {
  expect(swept([row("running")]).bare).toEqual(["running"]);
  expect(swept([row("running")], { running: { ...all, pod: false } }).toReconcile).toEqual(["running"]);
  expect(swept([row("suspended")], { suspended: { ...all, pod: false, claim: false } }).bare).toEqual(["suspended"]);
});

test("a running session whose pod is over is found, for example because the trigger for the pod's end was lost", () => {
  expect(swept([row("running")], { running: { ...all, isOver: true } })).toMatchObject({
    toReconcile: ["running"],
    bare: [],
  });
});

test("objects that outlived their session are found: a pod always, a workspace unless it is retained", () => {
  expect(swept([row("stopped")], { stopped: { ...all, pod: false } }).toReconcile).toEqual(["stopped"]);
  expect(swept([row("failed", { isKept: true })], { failed: all }).toReconcile).toEqual(["failed"]);
  expect(swept([row("suspended")], { suspended: all }).toReconcile).toEqual(["suspended"]);
});

test("objects without a row are found", () => {
  expect(swept([row("running")], { running: all, nobody: all }).orphans).toEqual([
    { id: "nobody", namespace: "tenant-acme", pod: true, claim: true, isOlder: false },
  ]);
});

test("objects without a row that are older than the database are reported separately, because another database may know them", () => {
  const older = swept([], { nobody: all }, new Date(made.getTime() + 1_000)).orphans;
  expect(older).toMatchObject([{ id: "nobody", isOlder: true }]);
});

test("if a namespace could not be listed, nothing is concluded, and its sessions are reconciled one by one", () => {
  const rows = [row("running", { namespace: "tenant-gone" }), row("queued", { namespace: "tenant-gone" })];
  expect(swept(rows)).toEqual({ toReconcile: ["running"], orphans: [], bare: [] });
});
