import { existsSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { stoppable } from "../lib/steps.ts";
import { go, npm } from "./ingredients.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-ingredients-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test("what waits for npm's registry ends where something beside it has failed", async () => {
  mkdirSync(join(folder, "bin"));
  const runs = join(folder, "runs");
  writeFileSync(join(folder, "bin/npm"), `#!/bin/sh\ntouch ${runs}\nexec sleep 60\n`, { mode: 0o755 });
  vi.stubEnv("PATH", `${join(folder, "bin")}:${process.env.PATH}`);
  const stop = new AbortController();
  const made = stoppable(stop.signal, () => npm("usr/local").make(folder));
  const failed = expect(made).rejects.toThrow(/abort|cancel/i);
  await until("npm runs", 30, () => existsSync(runs));
  stop.abort();
  await failed;
});

test("the image of Go has what a build needs, without tests and without the sources of its tools", async () => {
  const wanted = ["VERSION", "bin/go", "lib/time/zoneinfo.zip", "pkg/tool/compile", "src/fmt/print.go"];
  const others = ["src/fmt/print_test.go", "src/fmt/testdata/a", "src/cmd/go/main.go", "doc/go_spec.html"];
  for (const file of [...wanted, ...others].map((name) => join(folder, "goroot", name))) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "");
  }
  mkdirSync(join(folder, "bin"));
  const settings = { GOROOT: join(folder, "goroot"), GOVERSION: "go1.26.8", GOPROXY: "https://modules.example" };
  writeFileSync(join(folder, "bin/go"), `#!/bin/sh\necho '${JSON.stringify(settings)}'\n`, { mode: 0o755 });
  vi.stubEnv("PATH", `${join(folder, "bin")}:${process.env.PATH}`);
  await go("files").make(folder);
  const made = globSync("**/*", { cwd: join(folder, "files/usr/local/go"), withFileTypes: true });
  const files = made.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const root = join(folder, "files/usr/local/go");
  expect(files.map((file) => file.slice(root.length + 1)).sort()).toEqual([...wanted, "go.env"].sort());
});
