import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test, vi } from "vitest";
import { connectionsLetGo } from "./http.ts";

test("a shutdown waits until clients have closed their connections, or until its time is over", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  onTestFinished(() => void client.destroy());
  await once(server, "connection");
  expect(await connectionsLetGo(server, 0)).toBe(1);

  const counts = vi.spyOn(server, "getConnections");
  let left: number | undefined;
  const hour = connectionsLetGo(server, 3_600_000).then((count) => {
    left = count;
  });
  await until("the connections were counted twice", 20, () => counts.mock.calls.length >= 2);
  expect(left).toBeUndefined();
  client.destroy();
  await hour;
  expect(left).toBe(0);
});
