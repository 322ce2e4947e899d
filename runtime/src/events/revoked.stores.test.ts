/** Long answers end when their caller may not stay. WebSockets: gateway.stores.test.ts, execChannel.test.ts. */
import { until } from "@berth/testing/until.ts";
import { expect, test } from "vitest";
import { listen, openApi } from "../testing/api.ts";
import { keyOf, tenant, tenantsFile, writeTenants } from "../testing/fixtures.ts";

test("the event streams of a key that was removed end within 5 s of the file's reading, and say why", async () => {
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
  // The file is read every 2 s.
  await until("the stream has ended", 7, () => ended);
  await reading;
  const [, type, data] = /event: (.*)\ndata: (.*)\n\n$/.exec(text) ?? [];
  expect(type).toBe("problem");
  expect(JSON.parse(data ?? "")).toMatchObject({ status: 401, detail: "The key default has been removed." });
});
