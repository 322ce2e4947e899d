/** Token keys change while sessions are running: what the old key signed stays valid as long as the key exists. */
import { until } from "@berth/testing/until.ts";
import { beforeAll, expect, test } from "vitest";
import { createChannel } from "../channel/channel.ts";
import { tokensOf } from "../channel/token.ts";
import { SessionObjects } from "../cluster/sessionObjects.ts";
import { TokenKeys } from "../config/tokenKeys.ts";
import { recordsOn } from "../store/records.ts";
import { TaskCipher } from "../store/taskCipher.ts";
import { call, openApi } from "../testing/api.ts";
import { buildBerthd, openSession } from "../testing/berthd.ts";
import { freshDatabase, sessionOf, silent, tenant, tokenKey } from "../testing/fixtures.ts";
import { Tickets } from "./access/tickets.ts";

beforeAll(() => buildBerthd().then(() => {}));

const second = "2".repeat(32);
const third = "3".repeat(32);
const before = new TokenKeys(
  new Map([
    [1, tokenKey],
    [2, second],
  ]),
  1,
);
const after = new TokenKeys(
  new Map([
    [1, tokenKey],
    [2, second],
    [3, third],
  ]),
  2,
);
const dropped = new TokenKeys(
  new Map([
    [2, second],
    [3, third],
  ]),
  2,
);

const actor = { name: "key:default" };
const task = { command: ["make"], env: {}, secrets: { API_KEY: "hunter2" } };

async function open() {
  const { database } = await freshDatabase();
  const by = (keys: TokenKeys) => {
    const store = recordsOn(database, new TaskCipher(keys), { generation: 0 });
    const channel = createChannel({
      tokenKeys: keys,
      ...store,
      queue: { trigger: () => {} },
      owners: { until: async () => {}, end: () => {} },
      tenants: { all: () => [tenant("acme")] },
      metrics: { httpRequests: { inc: () => {} }, httpDuration: { observe: () => {} } },
      logger: silent,
    } as unknown as Parameters<typeof createChannel>[0]);
    const fetchTask = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await channel.inject({ method: "GET", url: "/session/task", headers });
      return answer.statusCode === 200 ? answer.json().secrets : answer.statusCode;
    };
    const request = { tenant: "acme", namespace: "tenant-acme", tier: "small", task } as const;
    const create = (more: object = {}) => store.creation.create({ ...request, ...more }, actor);
    return { store, create, fetchTask };
  };
  return { database, by };
}

test("processes with both keys accept sessions of both keys and read their tasks, whichever key signs", async () => {
  const { by } = await open();
  const [first, then] = [sessionOf(await by(before).create()), sessionOf(await by(after).create())];
  expect([first.tokenKey, then.tokenKey]).toEqual([1, 2]);
  for (const session of [first, then]) {
    const token = tokensOf(before, session)?.session ?? "";
    expect(tokensOf(after, session)).toEqual(tokensOf(before, session));
    for (const keys of [before, after]) expect(await by(keys).fetchTask(token)).toEqual(task.secrets);
  }
  expect(tokensOf(dropped, first)).toBeUndefined();
  expect(await by(dropped).fetchTask(tokensOf(before, first)?.session ?? "")).toBe(401);
  expect(await by(dropped).fetchTask(tokensOf(before, then)?.session ?? "")).toEqual(task.secrets);
  expect(await by(after).store.counts.byTokenKey()).toEqual(
    expect.arrayContaining([
      { key: 1, count: 1 },
      { key: 2, count: 1 },
    ]),
  );
});

test("a proof of one key under the other key's id is refused", async () => {
  const { by } = await open();
  const session = sessionOf(await by(after).create());
  const [id, , proof] = (tokensOf(after, session)?.session ?? "").split(".");
  for (const token of [
    `${id}.${proof}`,
    `${id}.1.${proof}`,
    `${id}.3.${proof}`,
    `${id}.9.${proof}`,
    `${id}.02.${proof}`,
  ]) {
    expect(await by(after).fetchTask(token), token).toBe(401);
  }
});

test("a request that is repeated after the rotation is still recognized as the same", async () => {
  const { by } = await open();
  const repeated = { idempotency: { key: "run-7", request: { tier: "small" } } };
  const made = sessionOf(await by(before).create(repeated));
  expect(await by(after).create(repeated)).toMatchObject({ replayed: true, session: { id: made.id } });
  const other = { idempotency: { key: "run-7", request: { tier: "large" } } };
  expect(await by(after).create(other)).toBe("mismatch");
});

test("a process without a session's key neither claims the session nor creates its pod", async () => {
  const { by, database } = await open();
  const warmSession = sessionOf(await by(after).create({ warm: "hash", task: undefined }));
  await database.updateTable("sessions").set({ state: "running", pod_ip: "10.0.0.1" }).execute();
  const old = TokenKeys.one(tokenKey);
  expect(sessionOf(await by(old).create({ claim: "hash" })).id).not.toBe(warmSession.id);
  const claimed = sessionOf(await by(before).create({ claim: "hash" }));
  expect(claimed).toMatchObject({ id: warmSession.id, tokenKey: 2 });
  // Until the task is bound to the session, it has the claimer's key; berthd repeats its call.
  const secrets = await until(
    "a process that has only the session's key reads the task",
    30,
    () => by(dropped).fetchTask(tokensOf(dropped, claimed)?.session ?? ""),
    (answer) => answer !== 500,
  );
  expect(secrets).toEqual(task.secrets);
  const objects = new SessionObjects({} as never, {
    images: { agent: "agent", agentHasBerthd: true, berthd: "berthd", berthdVolume: "copy" as const },
    sessionUrl: "http://127.0.0.1",
    tokens: (session) => tokensOf(old, session),
  });
  expect(await objects.create(claimed, tenant("acme"))).toEqual({
    result: "wait",
    reason: "Waiting for a worker that has the token key 2",
  });
});

test("a claimed session's task has the key of the session's pod, whichever key signs at the claimer", async () => {
  const { by, database } = await open();
  for (const [claimer, maker] of [
    [before, after],
    [after, before],
  ] as const) {
    await by(maker).create({ warm: "hash", task: undefined });
    await database
      .updateTable("sessions")
      .set({ state: "running", pod_ip: "10.0.0.1" })
      .where("warm", "is not", null)
      .execute();
    const session = sessionOf(await by(claimer).create({ claim: "hash" }));
    expect(session.tokenKey).toBe(maker.current);
    const own = await until(
      "the task is bound to the session",
      30,
      () =>
        database
          .selectFrom("sessions")
          .select(["task", "task_id"])
          .where("id", "=", session.id)
          .executeTakeFirstOrThrow(),
      ({ task_id }) => task_id === null,
    );
    const [header = ""] = own.task?.split(".") ?? [];
    expect(JSON.parse(Buffer.from(header, "base64url").toString())).toMatchObject({ kid: String(session.tokenKey) });
    for (const keys of [before, after])
      expect(await by(keys).fetchTask(tokensOf(keys, session)?.session ?? "")).toEqual(task.secrets);
    await database.deleteFrom("session_events").execute();
    await database.deleteFrom("sessions").execute();
  }
});

test("a pod of the old key accepts commands until the key is removed; then the answer says so", async () => {
  const { api, id } = await openSession({ tokenKeys: after });
  const run = () => call(api, "POST", `/v1/sessions/${id}/commands`, { body: { command: ["true"] } });
  // This berthd has a token of the first key.
  await api.database.updateTable("sessions").set({ token_key: 1 }).execute();
  expect(await run()).toMatchObject({ status: 200, json: { exitCode: 0 } });
  await api.database.updateTable("sessions").set({ token_key: 9 }).execute();
  expect(await run()).toMatchObject({ status: 409, json: { detail: expect.stringMatching(/does not have the key/) } });
});

test("a ticket of the old key is valid, and a ticket of a removed key is not", async () => {
  const old = await openApi({ tokenKeys: before });
  const { id } = (await call(old, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  const { ticket } = (await call(old, "POST", `/v1/sessions/${id}/desktop-tickets`)).json;
  expect(await new Tickets(after).verify(ticket)).toMatchObject({ sessionId: id });
  expect(await new Tickets(dropped).verify(ticket)).toBeUndefined();
  expect(JSON.parse(Buffer.from(ticket.split(".")[0], "base64url").toString())).toEqual({ alg: "HS256", kid: "1" });
});
