/** When a session ends, its stored task, which contains the agent's secrets, is deleted. */
import { expect, test } from "vitest";
import type { SessionEvent } from "../domain/states/state.ts";
import { cipher, freshDatabase, sessionOf, silent } from "../testing/fixtures.ts";
import { cleanUp } from "../worker/cleanUp.ts";
import type { Database } from "./database.ts";
import { up } from "./migrations/0008_tasks_of_ended.ts";
import { recordsOn } from "./records.ts";

const actor = { name: "worker" };
const task = { command: ["make"], env: {}, secrets: { API_KEY: "hunter2" } };

async function open() {
  const { database } = await freshDatabase();
  const store = recordsOn(database, cipher, { generation: 0 });
  const create = async () =>
    sessionOf(await store.creation.create({ tenant: "acme", namespace: "tenant-acme", tier: "small", task }, actor)).id;
  const tasks = async () =>
    Object.fromEntries(
      (await database.selectFrom("sessions").select(["id", "task"]).execute()).map((row) => [
        row.id,
        row.task !== null,
      ]),
    );
  return { database, store, create, tasks };
}

test.each<[string, SessionEvent[]]>([
  ["stopped", [{ type: "stop", cause: "user", reason: "Stopped by the user" }]],
  ["failed", [{ type: "admitted" }, { type: "fail", cause: "rejected", reason: "No such image" }]],
])("a session that is %s has no task any more; one that goes on keeps it", async (state, events) => {
  const { store, create, tasks } = await open();
  const [ends, goesOn] = [await create(), await create()];
  for (const event of [...events, { type: "gone", keepSeconds: 0 } as const]) {
    expect((await tasks())[ends]).toBe(true);
    const seen = await store.queries.find(ends);
    if (seen !== undefined) await store.commands.apply(seen, event, actor);
  }
  expect((await store.queries.find(ends))?.state).toBe(state);
  expect(await tasks()).toEqual({ [ends]: false, [goesOn]: true });
});

/**
 * Both functions delete the tasks of sessions that an older version has ended: the migration runs before the rollout, the
 * clean-up during the rollout.
 */
const wipes: Record<string, (database: Database) => Promise<unknown>> = {
  "the migration": (database) => up(database as never),
  "the nightly clean-up": (database) =>
    cleanUp(database, { add: async () => {} }, silent, { logRetentionSeconds: 600 }),
};

test.each(Object.entries(wipes))("%s deletes the tasks of ended sessions, and of no others", async (_, wipe) => {
  const { database, create, tasks } = await open();
  const [ended, runs] = [await create(), await create()];
  await database.updateTable("sessions").set({ state: "stopped" }).where("id", "=", ended).execute();
  await wipe(database);
  expect(await tasks()).toEqual({ [ended]: false, [runs]: true });
});
