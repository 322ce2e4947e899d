import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { infra, refusedImports, runtime } from "./layers.ts";

/** Returns the result of the check for a program with these files and with the layers of the runtime or of infra. */
async function refused(files: Record<string, string>, like = runtime): Promise<string[]> {
  const checkout = await mkdtemp(join(tmpdir(), "berth-layers-"));
  onTestFinished(() => rm(checkout, { recursive: true }));
  const folder = join(checkout, "program");
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return refusedImports(like, folder);
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
  ["up", "domain/states/decide.ts", 'import type { Row } from "../../store/sessions.ts";\nexport type Seen = Row;\n'],
  ["up, by `import()`", "domain/states/decide.ts", 'export const late = () => import("../../store/sessions.ts");\n'],
  ["sideways", "queue/jobs.ts", 'export * from "../store/sessions.ts";\n'],
  [
    "from telemetry",
    "telemetry/metrics.ts",
    'import type { Session } from "../domain/session.ts";\nexport type S = Session;\n',
  ],
  [
    "of a folder that is no layer",
    "helpers/all.ts",
    'import type { Row } from "../store/sessions.ts";\nexport type R = Row;\n',
  ],
])("an import that goes %s is refused", async (_name, file, text) => {
  expect(await refused({ ...domain, ...store, [file]: text })).toEqual([expect.stringContaining(`${file}: `)]);
});

test("a circle within a layer is refused, also one of types", async () => {
  const half = (other: string) => `import type { Other } from "./${other}.ts";\nexport type Other = unknown | Other;\n`;
  expect(await refused({ "domain/a.ts": half("b"), "domain/b.ts": half("a") })).toEqual([
    expect.stringContaining("no import makes a circle"),
  ]);
});

test("domain may not read files", async () => {
  const text = 'import { readFileSync } from "node:fs";\nexport const read = readFileSync;\n';
  expect(await refused({ "domain/file.ts": text })).toEqual([expect.stringContaining("does no input or output")]);
});

test("only queue and roles may import the client of Redis, other layers not even its types", async () => {
  const text = 'import type { Redis } from "ioredis";\nexport type R = Redis;\n';
  expect(await refused({ "queue/bell.ts": text, "roles/api.ts": text, "gateway/places.test.ts": text })).toEqual([]);
  expect(await refused({ "gateway/places.ts": text })).toEqual([expect.stringContaining("only queue sends commands")]);
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

describe("in infra", () => {
  const kubernetes = { "kubernetes/labels.ts": "export const labels = {};\n" };
  const stores = { "stores/redis.ts": 'export * from "../kubernetes/labels.ts";\n' };
  const all = { ...kubernetes, ...stores, "runtime/api.ts": 'export * from "../stores/redis.ts";\n' };

  test("the program imports any layer, and a layer imports those below it", async () => {
    const program = 'export * from "./runtime/api.ts";\nexport * from "./kubernetes/labels.ts";\n';
    expect(await refused({ ...all, "index.ts": program }, infra)).toEqual([]);
  });

  test.each([
    ["up", "config/tenant.ts", "../kubernetes/labels.ts"],
    ["to the side", "ingress/ingress.ts", "../stores/redis.ts"],
    ["to the program", "stores/stores.ts", "../index.ts"],
    ["out of infra", "kubernetes/pod.ts", "../../policy/kubernetes.ts"],
    ["out of infra, of the program itself", "index.ts", "../local/paths.ts"],
    ["out of infra, by the package's name", "kubernetes/pod.ts", "@berth/policy"],
    ["from the root, where only the program is", "postgres.ts", "./kubernetes/labels.ts"],
    ["to what is for tests", "stores/stores.ts", "../testing/record.ts"],
  ])("an import that goes %s is refused", async (_name, file, imported) => {
    const names = ["index.ts", "testing/record.ts", "../policy/kubernetes.ts", "../local/paths.ts"];
    const others = Object.fromEntries(names.map((name) => [name, "export const one = 1;\n"]));
    expect(await refused({ ...all, ...others, [file]: `export * from "${imported}";\n` }, infra)).toEqual([
      expect.stringContaining(`${file}: `),
    ]);
  });
});
