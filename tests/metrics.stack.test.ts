/** Tests the history of a session's resource usage, on the deployed stack with its real Prometheus. */
import { until } from "@berth/testing/until.ts";
import { afterAll, expect, test } from "vitest";
import { kubectl } from "../local/cluster/kubectl.ts";
import { call, keyOf, reaches, type Session } from "./berth.ts";

const acme = keyOf("acme");
const from = new Date(Date.now() - 60_000).toISOString();
let id = "";

afterAll(async () => {
  if (id !== "") await call(acme, "DELETE", `/v1/sessions/${id}`);
});

interface History {
  points: { at: string; memoryBytes: number | null; disks: { path: string }[] }[];
}

const ask = (key = acme) => call(key, "GET", `/v1/sessions/${id}/metrics?from=${from}&step=30`);
const points = async () => ((await (await ask()).json()) as History).points;

/** Returns the number of the session's pods whose memory usage Prometheus has stored. */
async function podsMeasured(): Promise<number> {
  const query = encodeURIComponent(`count(count_over_time(session_memory_bytes{job="sessions",session="${id}"}[15m]))`);
  const path = `/api/v1/namespaces/berth/pods/prometheus-0:9090/proxy/api/v1/query?query=${query}`;
  const { data } = JSON.parse(await kubectl(["get", "--raw", path])) as { data: { result: { value: string[] }[] } };
  return Number(data.result[0]?.value[1] ?? 0);
}

test("a session's metrics go on in the next pod and are there after its end, for its tenant alone", async () => {
  ({ id } = (await (await call(acme, "POST", "/v1/sessions", { tier: "small" })).json()) as Session);
  await reaches(acme, id, "running");
  await until("Prometheus has measured the first pod", 100, podsMeasured, (pods) => pods === 1);
  // The API returns a point as soon as the point's time has passed. This can be 30 s after Prometheus has measured. A scrape that
  // began before that time and is stored after it still changes the point, so the test takes a point that has a successor.
  const [first] = await until("the API has two points", 100, points, ({ length }) => length > 1);
  expect(first?.memoryBytes).toBeGreaterThan(1_000_000);
  expect(first?.disks.map(({ path }) => path).sort()).toEqual(["/home/agent/workspace", "/tmp"]);
  expect(Date.parse(first?.at ?? "")).toBeGreaterThanOrEqual(Date.parse(from));

  await call(acme, "POST", `/v1/sessions/${id}/suspend`);
  await reaches(acme, id, "suspended");
  await call(acme, "POST", `/v1/sessions/${id}/resume`);
  await reaches(acme, id, "running");
  await until("Prometheus has measured the second pod", 100, podsMeasured, (pods) => pods === 2);

  await call(acme, "DELETE", `/v1/sessions/${id}`);
  await reaches(acme, id, "stopped");
  expect(await points()).toContainEqual(first);
  expect((await ask(keyOf("globex"))).status).toBe(404);
});
