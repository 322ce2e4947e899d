/** The queue on a real Postgres; whose turn it is, plan.test.ts tells. */
import { expect, test } from "vitest";
import { SessionStore } from "../sessions/sessionStore.ts";
import { cipher, freshDatabase, sessionOf, silent, tenant } from "../testing/fixtures.ts";
import { Admission } from "./admission.ts";

const user = { name: "key:default" };
const small = { tenant: "acme", namespace: "tenant-acme", tier: "small" } as const;
const tooSmall = {
  requestsCpu: "1m",
  limitsCpu: "1",
  requestsMemory: "1Gi",
  limitsMemory: "1Gi",
  pods: 1,
  storage: "9Gi",
};

async function open(acme?: Parameters<typeof tenant>[1], isBehind = false) {
  const { database } = await freshDatabase();
  const store = new SessionStore(database, cipher);
  const looks: string[] = [];
  const known = acme && tenant("acme", acme);
  const admission = new Admission({
    database,
    store,
    tenants: { get: () => known, isBehind: () => isBehind },
    maxStarting: 10,
    onChange: (id) => looks.push(id),
    logger: silent,
  });
  const { id } = sessionOf(await store.create(small, user));
  const apply = async (...events: Parameters<SessionStore["apply"]>[1][]) => {
    for (const event of events) {
      const seen = await store.find(id);
      if (seen !== undefined) await store.apply(seen, event, user);
    }
  };
  return { admission, store, id, looks, apply };
}

test.each([
  ["of a tenant that is gone", undefined],
  ["of a tenant that may have none", { maxSessions: 0 }],
])("a session that waits is looked at for its end: %s", async (_, acme) => {
  const { admission, id, looks } = await open(acme);
  await admission.run();
  expect(looks).toEqual([id]);
});

test("a session that is larger than its tenant's quota fails", async () => {
  const { admission, store, id, looks } = await open({ quota: tooSmall });
  await admission.run();
  expect(await store.find(id)).toMatchObject({ state: "stopping", endsAs: "failed", cause: "rejected" });
  expect(looks).toEqual([id]);
});

test("it waits while a larger quota may still be to be read", async () => {
  const { admission, store, id } = await open({ quota: tooSmall }, true);
  await admission.run();
  const reason = expect.stringContaining("more than the tenant's whole quota");
  expect(await store.find(id)).toMatchObject({ state: "queued", reason });
});

test("it waits with the workspace that it has from before", async () => {
  const { admission, store, id, apply } = await open({ quota: tooSmall });
  const ran = [{ type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }, { type: "suspend", reason: "" }] as const;
  await apply(...ran, { type: "vacated" }, { type: "resume", reason: "" });
  await admission.run();
  expect(await store.find(id)).toMatchObject({ state: "queued" });
});
