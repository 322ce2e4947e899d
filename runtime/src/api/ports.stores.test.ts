/** Tests the API's list of a session's listening ports. A real berthd on loopback finds the ports. */
import { createServer } from "node:net";
import { until } from "@berth/testing/until.ts";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { call } from "../testing/api.ts";
import { buildBerthd, openSession } from "../testing/berthd.ts";
import { keyOf } from "../testing/fixtures.ts";
import { freePorts } from "../testing/ports.ts";

beforeAll(() => buildBerthd().then(() => {}));

test("a port is listed while a program listens on it, and berthd's own ports are not listed", async () => {
  const { api, id, berthd } = await openSession();
  const [port = 0] = await freePorts(1);
  const list = async (key?: string) => call(api, "GET", `/v1/sessions/${id}/ports`, { ...(key && { key }) });
  const ports = async () => ((await list()).json.items as { port: number }[]).map((one) => one.port);
  expect(await ports()).not.toContain(port);
  expect(await ports()).not.toContain(berthd.port);
  const server = createServer().listen(port, "127.0.0.1");
  onTestFinished(() => void server.close());
  await until("it is listed", 30, async () => (await ports()).includes(port));
  const { items } = (await list()).json;
  expect(items).toContainEqual({
    port,
    address: "127.0.0.1",
    pid: process.pid,
    program: expect.any(String),
    url: null,
  });
  server.close();
  await until("it is not listed any more", 30, async () => !(await ports()).includes(port));
  expect((await list(keyOf("beta"))).status).toBe(404);
});
