import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { removeFile, writeFile } from "./render.ts";

const annotated = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: {
    name: "one",
    namespace: "two",
    annotations: { buffering: "off", when: "2026-01-01", long: "x ".repeat(99) },
  },
};

test("a file says the same to a reader of YAML 1.1, and goes with its object", () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-render-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "1-manifest", "v1-configmap-two-one.yaml");
  writeFile(folder, annotated);
  expect(parse(readFileSync(file, "utf8"), { version: "1.1" })).toEqual(annotated);
  removeFile(folder, annotated);
  expect(() => readFileSync(file)).toThrow("ENOENT");
});
