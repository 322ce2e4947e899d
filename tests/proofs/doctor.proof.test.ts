/** Runs the doctor on the deployed stack: every promise holds, and nothing of the doctor stays in the cluster. */
import { execa } from "execa";
import { expect, test } from "vitest";
import { stackEnvironment } from "../../local/pulumi/stack.ts";
import { root } from "../../machine/machine.ts";
import { call, core, keyOf } from "../berth.ts";

test("the doctor finds the stack `dev` well, and deletes all that it made", async () => {
  const { stdout, stderr } = await execa("node", ["tools/doctor/main.ts", "--stack", "dev", "-o", "json"], {
    cwd: root,
    env: stackEnvironment(),
    reject: false,
  });
  const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: { name: string; state: string; says: string }[] };
  expect(
    checks.filter(({ state }) => state === "failed"),
    stderr,
  ).toEqual([]);
  expect(ok).toBe(true);
  const holding = [
    "access",
    "nodes",
    "names",
    "priority classes",
    "isolation",
    "dns",
    "api server",
    "storage",
    "pods",
    "images",
  ];
  for (const name of [...holding, "metrics", "session"])
    expect(checks.find((check) => check.name === name)?.state, name).toBe("ok");
  const { items } = await core.listNamespace();
  expect(items.filter(({ metadata }) => metadata?.name?.startsWith("berth-doctor-"))).toEqual([]);
  const sessions = (await (await call(keyOf("acme"), "GET", "/v1/sessions?label=doctor=true")).json()) as {
    items: { state: string }[];
  };
  expect(sessions.items.filter(({ state }) => state !== "stopped")).toEqual([]);
});
