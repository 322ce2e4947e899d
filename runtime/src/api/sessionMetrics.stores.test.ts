/** Tests the API's answer about the resources that a session uses. A real berthd on loopback measures them. */
import { beforeAll, expect, test } from "vitest";
import { call } from "../testing/api.ts";
import { buildBerthd, openSession } from "../testing/berthd.ts";
import { keyOf, sha256, tenant } from "../testing/fixtures.ts";

beforeAll(() => buildBerthd().then(() => {}));

test("a key with the scope read gets a session's use of CPU, memory, disk and network", async () => {
  const key = `${keyOf("acme")}r`;
  const keys = [
    { name: "default", sha256: sha256(keyOf("acme")) },
    { name: "read", sha256: sha256(key), scopes: ["read" as const] },
  ];
  const { api, id, berthd } = await openSession({}, [tenant("acme", { keys }), tenant("beta")]);
  const { status, json } = await call(api, "GET", `/v1/sessions/${id}/metrics`, { key });
  expect([status, Math.abs(Date.parse(json.at) - Date.now()) < 60_000]).toEqual([200, true]);
  expect(json.disks.map(({ path }: { path: string }) => path)).toEqual([berthd.workspace, berthd.scratch]);
  expect(json.disks[0].totalBytes).toBeGreaterThan(json.disks[0].usedBytes);
  expect(json).toMatchObject({
    cpu: { seconds: expect.any(Number) },
    memory: { bytes: expect.any(Number) },
    network: { receivedBytes: expect.any(Number), sentBytes: expect.any(Number) },
    processes: expect.any(Number),
  });
  expect((await call(api, "GET", `/v1/sessions/${id}/metrics`, { key: keyOf("beta") })).status).toBe(404);
});
