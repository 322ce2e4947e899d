/**
 * Long answers end when the caller loses the permission. desktopGateway.stores.test.ts and exec.stores.test.ts test the same of
 * WebSockets.
 */
import { until } from "@berth/testing/until.ts";
import { expect, test } from "vitest";
import { call, fakeCluster, listen, openApi } from "../testing/api.ts";
import { holdIntervals, keyOf, tenant, tenantsFile, writeTenants } from "../testing/fixtures.ts";

/** Within how many milliseconds after a change of the tenants file an answer ends. The file is read every 2 s. */
const promised = 5_000;

test("the event streams of a key that was removed end within 5 s, and say why", async () => {
  const pass = holdIntervals();
  const acme = tenant("acme");
  const file = tenantsFile(acme);
  const origin = await listen(await openApi({ TENANTS_FILE: file }));
  const response = await fetch(`${origin}/v1/events`, { headers: { authorization: `Bearer ${keyOf("acme")}` } });
  let [text, ended] = ["", false];
  const read = async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk);
    ended = true;
  };
  const reading = read();
  await until("the stream listens", 20, () => text.includes("\n:\n"));
  writeTenants(file, [{ ...acme, keys: [] }]);
  pass(promised);
  await until("the stream has ended", 30, () => ended);
  await reading;
  const [, type, data] = /event: (.*)\ndata: (.*)\n\n$/.exec(text) ?? [];
  expect(type).toBe("problem");
  expect(JSON.parse(data ?? "")).toMatchObject({ status: 401, detail: "The key default has been removed." });
});

test("a log that is followed with a key that was removed ends within 5 s, and says why", async () => {
  const pass = holdIntervals();
  await fakeCluster(() => ({ status: 200, body: "one\ntwo", goesOn: true }));
  const acme = tenant("acme");
  const file = tenantsFile(acme);
  const api = await openApi({ TENANTS_FILE: file });
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  for (const event of [{ type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }] as const) {
    const seen = await api.store.queries.find(id);
    if (seen !== undefined) await api.store.commands.apply(seen, event, { name: "worker" });
  }
  const url = `${await listen(api)}/v1/sessions/${id}/logs?follow=true`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${keyOf("acme")}` } });
  const log = response.text();
  writeTenants(file, [{ ...acme, keys: [] }]);
  pass(promised);
  const ends = "berth-api: the log ends here: The key default has been removed.";
  expect(await until("the log has ended", 30, () => log)).toBe(`one\ntwo\n${ends}\n`);
});
