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
const all: SweptObjects = { namespace: "tenant-acme", pod: true, claim: true, secret: true, since: made };
const listed = new Set(["tenant-acme"]);
const swept = (rows: SweptRow[], objects: Record<string, SweptObjects> = {}, rowsSince = made) =>
  compare(rows, new Map(Object.entries(objects)), listed, rowsSince);

test("what is as it should be is left alone", () => {
  const rows = [row("running"), row("suspended"), row("queued"), row("stopped", { isKept: true }), row("failed")];
  const objects = { running: all, suspended: { ...all, pod: false }, stopped: { ...all, pod: false } };
  expect(swept(rows, objects)).toEqual({ look: [], orphans: [], bare: [] });
});

test("whatever is on its way is looked at, and whoever's time is up", () => {
  const rows = [row("starting"), row("suspending"), row("stopping"), row("running", { isDue: true })];
  expect(swept(rows, { running: all }).look).toEqual(["starting", "suspending", "stopping", "running"]);
});

test("a row without its pod or workspace is found", () => {
  expect(swept([row("running")]).bare).toEqual(["running"]);
  expect(swept([row("running")], { running: { ...all, pod: false } }).look).toEqual(["running"]);
  expect(swept([row("suspended")], { suspended: { ...all, pod: false, claim: false } }).bare).toEqual(["suspended"]);
});

test("objects that outlived their session are found: a pod always, a workspace unless it is kept", () => {
  expect(swept([row("stopped")], { stopped: { ...all, pod: false } }).look).toEqual(["stopped"]);
  expect(swept([row("failed", { isKept: true })], { failed: all }).look).toEqual(["failed"]);
  expect(swept([row("suspended")], { suspended: all }).look).toEqual(["suspended"]);
});

test("objects without a row are found", () => {
  expect(swept([row("running")], { running: all, nobody: all }).orphans).toEqual([
    { id: "nobody", namespace: "tenant-acme", pod: true, claim: true, isOlder: false },
  ]);
});

test("objects without a row that are older than the database are told apart: another one may know them", () => {
  const older = swept([], { nobody: all }, new Date(made.getTime() + 1_000)).orphans;
  expect(older).toMatchObject([{ id: "nobody", isOlder: true }]);
});

test("of a namespace that could not be listed nothing is concluded: its sessions are looked at one by one", () => {
  const rows = [row("running", { namespace: "tenant-gone" }), row("queued", { namespace: "tenant-gone" })];
  expect(swept(rows)).toEqual({ look: ["running"], orphans: [], bare: [] });
});
