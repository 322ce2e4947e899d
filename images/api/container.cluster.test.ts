/** Tests the container of the API image, without reachable stores. */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { run } from "../testing/container.ts";
import { api } from "../testing/image.ts";

/** The settings that a role needs to start: addresses at which no store answers, and files. */
async function settings(): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "berth-image-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await chmod(folder, 0o755);
  for (const name of ["postgres-password", "redis-password", "token-key"])
    await writeFile(join(folder, name), "0123456789abcdef0123456789abcdef");
  await writeFile(join(folder, "tenants.json"), JSON.stringify({ tenants: [] }));
  const environment = {
    POSTGRES_HOST: "127.0.0.1",
    REDIS_HOST: "127.0.0.1",
    SECRETS_DIR: "/settings",
    TENANTS_FILE: "/settings/tenants.json",
    AGENT_IMAGE: "agent",
    BERTHD_IMAGE: "berthd",
    PUBLIC_URL: "http://127.0.0.1",
  };
  return [`--volume=${folder}:/settings:ro`, ...Object.entries(environment).map(([k, v]) => `--env=${k}=${v}`)];
}

test.each(["api", "worker"])(
  "the role %s starts with the pod's restrictions, becomes healthy, and ends with 0 on SIGTERM",
  async (role) => {
    // This test lets Docker check the health every second. The image's own interval is 10 s.
    const container = await run(api, [...(await settings()), "--health-interval=1s"], ["dist/main.js", role]);
    await until(
      "it is healthy",
      60,
      () => container.inspect(".State.Health.Status"),
      (status) => status === "healthy",
    );
    expect(await container.stop(30)).toBe(0);
    expect(await container.logs()).toContain('"msg":"bye"');
  },
);

test("Node as PID 1 reaps a hundred short child processes", async () => {
  const script = `
    const { spawn } = require("node:child_process");
    const { readdirSync, readFileSync } = require("node:fs");
    const child = () => new Promise((resolve) => spawn(process.execPath, ["--version"]).on("exit", resolve));
    const state = (pid) => readFileSync("/proc/" + pid + "/stat", "utf8").split(") ")[1][0];
    (async () => {
      for (let left = 100; left > 0; left--) await child();
      const pids = readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
      console.log(JSON.stringify(pids.map((pid) => [pid, state(pid)])));
    })();`;
  const container = await run(api, [], ["-e", script]);
  await container.end();
  const states = JSON.parse(await container.logs()) as [pid: string, state: string][];
  expect(states.map(([pid]) => pid)).toContain("1");
  expect(states.filter(([, state]) => state === "Z")).toEqual([]);
});

test("the heap may use three quarters of the container's memory", async () => {
  const script = "console.log(require('node:v8').getHeapStatistics().heap_size_limit / 2 ** 20)";
  const container = await run(api, ["--memory=512m"], ["-e", script]);
  await container.end();
  expect(Math.round(Number(await container.logs()) / 16) * 16).toBe(384);
});
