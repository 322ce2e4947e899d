import { expect, test } from "vitest";
import { Health } from "./health.ts";

const answers = async () => "PONG";
const fails = async () => {
  throw new Error("away");
};
const isMigrated = async () => true;

test("ready needs what the process can't work without, and tells about the rest", async () => {
  const health = (redis: () => Promise<unknown>, postgres: () => Promise<unknown>) =>
    new Health({
      dependencies: [
        { name: "redis", ping: redis, required: false },
        { name: "postgres", ping: postgres },
      ],
      isMigrated,
    });
  expect(await health(answers, answers).ready()).toEqual({ ok: true, checks: { redis: "ok", postgres: "ok" } });
  expect(await health(fails, answers).ready()).toEqual({ ok: true, checks: { redis: "failed", postgres: "ok" } });
  expect(await health(answers, fails).ready()).toEqual({ ok: false, checks: { redis: "ok", postgres: "failed" } });
});

test("many probes at once are one question", async () => {
  let asked = 0;
  const ping = async () => {
    asked += 1;
  };
  const health = new Health({ dependencies: [{ name: "postgres", ping }], isMigrated });
  await Promise.all(Array.from({ length: 20 }, () => health.ready()));
  expect(asked).toBe(1);
});

test("a process that is about to end is not ready, but alive", async () => {
  const health = new Health({ dependencies: [], isMigrated });
  health.drain();
  expect(await health.ready()).toEqual({ ok: false, checks: { process: "shutting down" } });
  expect(health.live().ok).toBe(true);
});

test("live looks at the process only: no dependency is asked", () => {
  const health = new Health({ dependencies: [{ name: "postgres", ping: fails }], isMigrated: fails });
  expect(health.live()).toEqual({ ok: true, checks: { loop: "ok" } });
});

test("a loop that is stuck is for a restart to heal", () => {
  expect(new Health({ dependencies: [], isMigrated, isTurning: () => false }).live()).toEqual({
    ok: false,
    checks: { loop: "stuck" },
  });
});

test("it starts once the database has its tables, and does not ask again", async () => {
  const replies = [false, true];
  const health = new Health({ dependencies: [], isMigrated: async () => replies.shift() ?? false });
  expect((await health.startup()).ok).toBe(false);
  expect((await health.startup()).ok).toBe(true);
  expect((await health.startup()).ok).toBe(true);
});
