import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { refusedImports } from "./layers.ts";

/** What the check says of a program with these files. */
async function refused(files: Record<string, string>): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "berth-layers-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return refusedImports(folder);
}

const domain = { "domain/session.ts": "export interface Session { id: string }\n" };
const store = {
  "store/sessions.ts": 'import type { Session } from "../domain/session.ts";\nexport type Row = Session;\n',
};

test("imports that go down are taken, also past a layer", async () => {
  const api =
    'import type { Row } from "../store/sessions.ts";\nimport type { Session } from "../domain/session.ts";\n';
  expect(
    await refused({ ...domain, ...store, "api/sessions.ts": `${api}export type Both = Row | Session;\n` }),
  ).toEqual([]);
});

test.each([
  ["up", "domain/decide.ts", 'import type { Row } from "../store/sessions.ts";\nexport type Seen = Row;\n'],
  ["up, by `import()`", "domain/decide.ts", 'export const late = () => import("../store/sessions.ts");\n'],
  ["sideways", "queue/jobs.ts", 'export * from "../store/sessions.ts";\n'],
  [
    "from telemetry",
    "telemetry/metrics.ts",
    'import type { Session } from "../domain/session.ts";\nexport type S = Session;\n',
  ],
  [
    "of a folder that is no room",
    "helpers/all.ts",
    'import type { Row } from "../store/sessions.ts";\nexport type R = Row;\n',
  ],
])("an import that goes %s is refused", async (_name, file, text) => {
  expect(await refused({ ...domain, ...store, [file]: text })).toEqual([expect.stringContaining(`${file}: `)]);
});

test("a circle within a room is refused, also one of types", async () => {
  const half = (other: string) => `import type { Other } from "./${other}.ts";\nexport type Other = unknown | Other;\n`;
  expect(await refused({ "domain/a.ts": half("b"), "domain/b.ts": half("a") })).toEqual([
    expect.stringContaining("no import makes a circle"),
  ]);
});

test("domain may not read files", async () => {
  const text = 'import { readFileSync } from "node:fs";\nexport const read = readFileSync;\n';
  expect(await refused({ "domain/file.ts": text })).toEqual([expect.stringContaining("does no input or output")]);
});

test("a test may import from anywhere, and nothing of the program what is for tests", async () => {
  const all = { ...domain, ...store, "testing/fixtures.ts": "export const one = 1;\n" };
  expect(
    await refused({
      ...all,
      "domain/session.test.ts": 'import "../store/sessions.ts";\nimport "../testing/fixtures.ts";\n',
    }),
  ).toEqual([]);
  expect(await refused({ ...all, "api/one.ts": 'export * from "../testing/fixtures.ts";\n' })).toHaveLength(1);
});
