/** A session without a maximum lifetime can't be extended: the call neither sets a limit nor ends the session. */
import { expect, test } from "vitest";
import { call, openApi } from "../testing/api.ts";
import { sessionOf, tenant } from "../testing/fixtures.ts";

test.each([
  ["its tenant has no limit", null],
  ["its tenant got a limit after the session was made", 120],
])("extend is refused with the rule, and the session stays as it is: %s", async (_, maxLifetimeSeconds) => {
  const api = await openApi({}, [tenant("acme", { maxLifetimeSeconds })]);
  const session = sessionOf(
    await api.store.creation.create({ tenant: "acme", namespace: "tenant-acme", tier: "small" }, { name: "test" }),
  );
  const before = await api.store.queries.find(session.id);
  expect(await call(api, "POST", `/v1/sessions/${session.id}/extend`, { body: { seconds: 60 } })).toMatchObject({
    status: 409,
    json: { detail: "The session has no maximum lifetime, so there is nothing to extend." },
  });
  expect(await api.store.queries.find(session.id)).toEqual(before);
});
