/** The health endpoints over HTTP. */
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import { expect, onTestFinished, test } from "vitest";
import { healthModule } from "../roles/healthModule.ts";
import { Health, type HealthOptions } from "./health.ts";

const answers = async () => "PONG";
const fails = async () => {
  throw new Error("connect ECONNREFUSED 10.96.0.7:6379");
};
const isMigrated = async () => true;

@Module({})
class Role {}

async function open(options: Partial<HealthOptions>) {
  const health = new Health({ dependencies: [], isMigrated, ...options });
  const module = { module: Role, imports: [healthModule(health)] };
  const app = await NestFactory.create<NestFastifyApplication>(module, new FastifyAdapter(), { logger: false });
  await app.init();
  onTestFinished(() => app.close());
  return {
    health,
    ask: async (what: "startup" | "live" | "ready") => {
      const answer = await app.inject(`/health/${what}`);
      return { code: answer.statusCode, text: answer.body, ...answer.json() };
    },
  };
}

test("ready requires the required dependencies, and reports the others", async () => {
  const ready = async (redis: () => Promise<unknown>, postgres: () => Promise<unknown>) => {
    const { ask } = await open({
      dependencies: [
        { name: "redis", ping: redis, required: false },
        { name: "postgres", ping: postgres },
      ],
    });
    return ask("ready");
  };
  expect(await ready(answers, answers)).toMatchObject({
    code: 200,
    status: "ok",
    details: { redis: { status: "up" } },
  });
  expect(await ready(fails, answers)).toMatchObject({
    code: 200,
    status: "degraded",
    details: { redis: { status: "degraded" }, postgres: { status: "up" } },
  });
  const down = await ready(answers, fails);
  expect(down).toMatchObject({ code: 503, status: "error", details: { postgres: { status: "down" } } });
  expect(down.text).not.toContain("10.96");
});

test("many probes at once cause one check", async () => {
  let asked = 0;
  const { ask } = await open({
    dependencies: [
      {
        name: "postgres",
        ping: async () => {
          asked += 1;
        },
      },
    ],
  });
  await Promise.all(Array.from({ length: 20 }, () => ask("ready")));
  expect(asked).toBe(1);
});

test("a process that is shutting down is not ready, but alive", async () => {
  const { health, ask } = await open({});
  health.drain();
  expect(await ask("ready")).toMatchObject({ code: 503, details: { process: { message: "shutting down" } } });
  expect(await ask("live")).toMatchObject({ code: 200 });
});

test("live checks the process only and calls no dependency", async () => {
  const { ask } = await open({ dependencies: [{ name: "postgres", ping: fails }], isMigrated: fails });
  expect(await ask("live")).toMatchObject({ code: 200, status: "ok", details: { "event-loop": { status: "up" } } });
});

test("live fails if a loop is stuck, because a restart helps", async () => {
  const { ask } = await open({
    loops: [
      { name: "sweep", isAlive: () => true },
      { name: "queue", isAlive: () => false },
    ],
  });
  expect(await ask("live")).toMatchObject({
    code: 503,
    details: { sweep: { status: "up" }, queue: { status: "down", message: "stuck" } },
  });
});

test("startup succeeds once the database has its tables, and does not check again", async () => {
  const replies = [false, true];
  const { ask } = await open({ isMigrated: async () => replies.shift() ?? false });
  expect(await ask("startup")).toMatchObject({ code: 503, details: { database: { message: "not migrated yet" } } });
  expect((await ask("startup")).code).toBe(200);
  expect((await ask("startup")).code).toBe(200);
});

test("startup fails while the database does not answer", async () => {
  const { ask } = await open({ isMigrated: fails });
  expect(await ask("startup")).toMatchObject({ code: 503, details: { database: { message: "no answer" } } });
});
