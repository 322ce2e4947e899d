import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { withEpoch } from "./epoch.ts";

const prod = readFileSync(new URL("../Pulumi.prod.yaml", import.meta.url), "utf8");

test("the epoch becomes a build argument, and the rest of the file stays", () => {
  const before = parse(prod);
  const after = withEpoch(prod, "2026-W48") ?? "";
  expect(parse(after)).toEqual({
    ...before,
    config: { ...before.config, "berth:images": { agent: { buildArgs: { SECURITY_EPOCH: "2026-W48" } } } },
  });
  const comments = (text: string) => text.match(/#.*/g);
  expect(comments(after)).toEqual(comments(prod));
});

test("a later epoch replaces an earlier one, beside other arguments", () => {
  const file = "config:\n  berth:images:\n    agent: { buildArgs: { BROWSER: chromium, SECURITY_EPOCH: a } }\n";
  expect(parse(withEpoch(file, "b") ?? "").config["berth:images"].agent.buildArgs).toEqual({
    BROWSER: "chromium",
    SECURITY_EPOCH: "b",
  });
});

const finished = "config:\n  berth:images: { agent: a@sha256:0 }\n";
const local = "config:\n  berth:registry: localhost:5001/berth\n";

test("a finished image, and one for this machine only, get no epoch", () => {
  expect(withEpoch(finished, "b")).toBeUndefined();
  expect(withEpoch(local, "b")).toBeUndefined();
});

/** Runs the command with files of these texts, and returns its result and the files' new texts. */
async function run(texts: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), "berth-epoch-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, name), text);
  const program = fileURLToPath(new URL("epoch.ts", import.meta.url));
  const options = { cwd: folder, reject: false } as const;
  const { exitCode, stderr } = await execa(process.execPath, [program, "2026-W48", ...Object.keys(texts)], options);
  const now = Object.keys(texts).map((name) => [name, readFileSync(join(folder, name), "utf8")]);
  return { exitCode, stderr, now: Object.fromEntries(now) };
}

test("the command writes the epoch into each file whose stack builds the image, and fails if there is none", async () => {
  const { exitCode, now } = await run({ finished, prod, local, staging: prod });
  expect({ exitCode, now }).toEqual({
    exitCode: 0,
    now: { finished, prod: withEpoch(prod, "2026-W48"), local, staging: withEpoch(prod, "2026-W48") },
  });
  expect(await run({ finished, local })).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("no stack of finished, local builds the desktop image"),
    now: { finished, local },
  });
});
