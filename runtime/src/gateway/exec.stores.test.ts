/** Who may not run commands is told by HTTP, before the upgrade. Commands themselves: exec.cluster.test.ts. */
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { call, fakeCluster, listen, openApi } from "../testing/api.ts";
import { adminKey, keyOf, sha256, tenant } from "../testing/fixtures.ts";

interface Refusal {
  status: number | undefined;
  problem: { detail: string; errors?: { field: string }[] };
}

/** The refusal of the upgrade; the test fails if there is none. */
function refusal(url: string, key: string): Promise<Refusal> {
  const socket = new WebSocket(url.replace("http", "ws"), { headers: { authorization: `Bearer ${key}` } });
  return new Promise((resolve, reject) => {
    socket.on("error", () => {});
    socket.once("open", () => reject(new Error("it was let in")));
    socket.once("unexpected-response", async (_request, response) => {
      const text = Buffer.concat(await response.toArray()).toString();
      resolve({ status: response.statusCode, problem: JSON.parse(text) });
    });
  });
}

test("commands are off unless the tenant's config allows them, and need their scope, a running session and an input", async () => {
  await fakeCluster();
  const readOnly = `${keyOf("acme")}r`;
  const keys = [
    { name: "default", sha256: sha256(keyOf("acme")) },
    { name: "read", sha256: sha256(readOnly), scopes: ["read" as const] },
  ];
  const api = await openApi({}, [tenant("acme", { exec: true, keys }), tenant("beta")]);
  const origin = await listen(api);
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  const url = `${origin}/v1/sessions/${id}/exec`;

  expect((await refusal(`${url}?command=ls`, keyOf("beta"))).problem.detail).toBe(
    "Commands are off for the tenant beta: its config must have exec: true.",
  );
  expect((await refusal(`${url}?command=ls`, readOnly)).status).toBe(403);
  expect((await refusal(`${url}?command=ls`, adminKey)).status).toBe(403);
  expect((await refusal(`${url}?command=ls`, "berth_acme_wrong")).status).toBe(401);
  expect((await refusal(`${url}?command=ls`, keyOf("acme"))).status).toBe(409);
  const missing = `${origin}/v1/sessions/00000000-0000-4000-8000-000000000000/exec`;
  expect((await refusal(`${missing}?command=ls`, keyOf("acme"))).status).toBe(404);
  for (const [query, field] of [
    ["", "command"],
    ["?command=ls&tty=maybe", "tty"],
    ["?command=ls&shell=1", "shell"],
    ["?command=%00", "command.0"],
    [`?${"command=x&".repeat(65)}`, "command"],
  ]) {
    const { status, problem } = await refusal(url + query, keyOf("acme"));
    expect([status, problem.errors?.[0]?.field]).toEqual([400, field]);
  }
});

test("a command that can't be started is told by the close code and in words, and is on record", async () => {
  await fakeCluster(() => ({ status: 403, body: "{}" }));
  const api = await openApi({}, [tenant("acme", { exec: true })]);
  const origin = await listen(api);
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  await api.database.updateTable("sessions").set({ state: "running" }).where("id", "=", id).execute();
  const socket = new WebSocket(`${origin.replace("http", "ws")}/v1/sessions/${id}/exec?command=ls`, {
    headers: { authorization: `Bearer ${keyOf("acme")}` },
  });
  const [code, reason] = await new Promise<[number, Buffer]>((resolve) =>
    socket.once("close", (...closed) => resolve(closed)),
  );
  expect(code).toBe(4502);
  expect(String(reason)).toBe("The platform lacks the right to the command line in this namespace.");
  const events = await api.store.trail.ofTenant({ tenant: "acme", sessionId: id }, "0", 10);
  expect(events.at(-1)).toMatchObject({ type: "command", reason: "ls", actor: "key:default", state: "running" });
});
