/** What a restore does before it stops anything, with a stand-in for kubectl. The whole of it: postgres-backup.stack.test.ts. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";

const here = import.meta.dirname;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "berth-restore-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** A folder with one dump that is whole. */
async function backups(): Promise<string> {
  const path = folder();
  const dump = join(path, "20261121T013000Z");
  mkdirSync(dump);
  for (const file of ["database.dump", "manifest"]) writeFileSync(join(dump, file), file);
  await execa("bash", ["-c", "sha256sum database.dump manifest >SHA256SUMS"], { cwd: dump });
  return path;
}

/** The Job's script, as the Job's pod runs it. */
const check = (BACKUPS: string, DUMP: string) =>
  execa("bash", [join(here, "find-dump.sh")], { env: { BACKUPS, DUMP }, reject: false, all: true });

test("the check names the dump that is there and whole, the newest by default", async () => {
  const path = await backups();
  expect(await check(path, "20261121T013000Z")).toMatchObject({ exitCode: 0, all: "20261121T013000Z" });
  expect(await check(path, "")).toMatchObject({ exitCode: 0, all: "20261121T013000Z" });
});

test("the check fails where the dump is not there, none is, or it is damaged", async () => {
  const path = await backups();
  expect(await check(path, "20200101T000000Z")).toMatchObject({
    exitCode: 1,
    all: "There is no dump '20200101T000000Z'. There are:\n20261121T013000Z",
  });
  expect((await check(folder(), "")).exitCode).toBe(1);
  writeFileSync(join(path, "20261121T013000Z", "database.dump"), "something else");
  expect((await check(path, "")).all).toContain("database.dump: FAILED");
});

test("a restore of a dump that does not exist stops nothing, and says so without a stack trace", async () => {
  const bin = folder();
  const calls = join(bin, "calls");
  const job = { spec: { template: { spec: { containers: [{ command: ["bash", "/scripts/restore.sh"], env: [] }] } } } };
  writeFileSync(
    join(bin, "kubectl"),
    `#!/bin/bash
shift # --namespace
echo "$*" >>${calls}
case "$*" in
  *--dry-run=client*) echo '${JSON.stringify(job)}' ;;
  "create --filename=-") cat >>${calls} ;;
  get\\ job*) echo '{"status": {"conditions": [{"type": "Failed", "status": "True"}]}}' ;;
  get\\ deployment*) echo '{"spec": {"replicas": 1}}' ;;
  logs*) echo "There is no dump '20200101T000000Z'. There are:" ;;
esac
`,
  );
  chmodSync(join(bin, "kubectl"), 0o755);
  const restore = await execa(process.execPath, [join(here, "restore.ts"), "20200101T000000Z"], {
    env: { PATH: `${bin}:${process.env.PATH}` },
    reject: false,
    all: true,
  });
  expect(restore.exitCode).toBe(1);
  expect(restore.all).toContain("There is no dump '20200101T000000Z'");
  expect(restore.all).not.toMatch(/^ +at /m);
  expect(existsSync(calls) && readFileSync(calls, "utf8")).toContain("find-dump.sh");
  expect(readFileSync(calls, "utf8")).not.toContain("scale");
});
