import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { FileInfoSchema, FileKind, WatchEvent_Kind, WatchEventSchema } from "../berthd/gen/berth/v1/files_pb.ts";
import { FolderBody, fileJson, modeBits, WriteQuery, watchEventJson } from "./fileJson.ts";

test("berthd's facts of a file become JSON: a size and an ETag for files only, a target for symlinks only", () => {
  const facts = { path: "/w/a", mode: 0o644, modifiedAt: { seconds: 1n, nanos: 5_000_000 } };
  const common = { path: "/w/a", mode: "0644", modifiedAt: "1970-01-01T00:00:01.005Z" };
  const file = create(FileInfoSchema, { ...facts, kind: FileKind.FILE, size: 7n, etag: '"e"' });
  expect(fileJson(file)).toEqual({ ...common, kind: "file", size: 7, etag: '"e"', target: null });
  const link = create(FileInfoSchema, { ...facts, kind: FileKind.SYMLINK, target: "b" });
  expect(fileJson(link)).toEqual({ ...common, kind: "symlink", size: null, etag: null, target: "b" });
  const folder = create(FileInfoSchema, { ...facts, kind: FileKind.FOLDER, mode: 0o1777 });
  expect(fileJson(folder)).toEqual({ ...common, mode: "1777", kind: "folder", size: null, etag: null, target: null });
  expect(fileJson(create(FileInfoSchema, facts)).kind).toBe("other");
  // Programs can set a file's time to any value.
  for (const [seconds, text] of [
    [10n ** 17n, "9999-12-31T23:59:59.000Z"],
    [-(10n ** 17n), "0001-01-01T00:00:00.000Z"],
    [-1n, "1969-12-31T23:59:59.000Z"],
  ] as const) {
    expect(fileJson(create(FileInfoSchema, { ...facts, modifiedAt: { seconds } })).modifiedAt).toBe(text);
  }
});

test("changes are named, and messages that only keep the watch alive are dropped", () => {
  const json = (kind: WatchEvent_Kind) => watchEventJson(create(WatchEventSchema, { kind, path: "/w" }));
  expect(json(WatchEvent_Kind.MODIFIED)).toEqual({ type: "modified", path: "/w" });
  expect(json(WatchEvent_Kind.KEEP_ALIVE)).toBeNull();
});

test("permission bits are octal, without setuid and setgid", () => {
  for (const mode of ["644", "0644", "1777"])
    expect(FolderBody.safeParse({ path: "a", mode }).success, mode).toBe(true);
  for (const mode of ["4755", "2755", "888", "rw", "", "00644"]) {
    expect(FolderBody.safeParse({ path: "a", mode }).success, mode).toBe(false);
    expect(WriteQuery.safeParse({ path: "a", mode }).success, mode).toBe(false);
  }
  expect(modeBits("0755")).toBe(0o755);
});
