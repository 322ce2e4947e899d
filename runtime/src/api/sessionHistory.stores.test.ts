/**
 * The API's answers about what a session used over time. A server of the test replaces Prometheus; the file
 * monitoring.stack.test.ts uses the real Prometheus.
 */
import { createServer, type RequestListener } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { call, openApi, originOf } from "../testing/api.ts";
import { keyOf } from "../testing/fixtures.ts";
import { mostPoints } from "./sessionHistory.ts";

type Series = { metric: Record<string, string>; values: [number, string][] };

/** A server that gives this answer in place of Prometheus. `asked` has the requests that the server got. */
async function prometheus(answer: Series[] | RequestListener) {
  const asked: { path: string | undefined; form: Record<string, string> }[] = [];
  const server = createServer(async (request, response) => {
    const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
    asked.push({ path: request.url, form: Object.fromEntries(form) });
    if (!Array.isArray(answer)) return answer(request, response);
    const data = { resultType: "matrix", result: answer };
    response.setHeader("content-type", "application/json").end(JSON.stringify({ status: "success", data }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: originOf(server), asked };
}

async function open(answer: Series[] | RequestListener = []) {
  const { url, asked } = await prometheus(answer);
  const api = await openApi({ PROMETHEUS_URL: url });
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  const ask = (query: string, key?: string) =>
    call(api, "GET", `/v1/sessions/${id}/metrics?${query}`, { ...(key && { key }) });
  return { api, id, ask, asked };
}

const times = "from=2026-11-29T10:00:00Z&to=2026-11-29T11:00:00Z";
const at = (minute: number) => Date.UTC(2026, 10, 29, 10, minute) / 1000;

test("points have what is known of their time; what a session's program makes up is left out", async () => {
  const { ask, asked, id } = await open([
    {
      metric: { figure: "cpus" },
      values: [
        [at(0), "0.25"],
        [at(1), "NaN"],
      ],
    },
    {
      metric: { figure: "memory" },
      values: [
        [at(0), "1048576"],
        [at(2), "+Inf"],
      ],
    },
    {
      metric: { figure: "disk", path: "/tmp" },
      values: [
        [at(0), "2"],
        [at(3), "3"],
      ],
    },
    { metric: { figure: "disk", path: "/home" }, values: [[at(3), "4e3"]] },
    { metric: { figure: "received" }, values: [[at(0), "10"]] },
    { metric: { figure: "sent" }, values: [[at(0), "20"]] },
    { metric: { figure: "processes" }, values: [[at(0), "7"]] },
    { metric: { figure: "another" }, values: [[at(0), "7"]] },
  ]);
  const { status, json } = await ask(times);
  expect(status).toBe(200);
  expect(json).toEqual({
    from: "2026-11-29T10:00:00.000Z",
    to: "2026-11-29T11:00:00.000Z",
    stepSeconds: 60,
    points: [
      {
        at: "2026-11-29T10:00:00.000Z",
        cpus: 0.25,
        memoryBytes: 1048576,
        disks: [{ path: "/tmp", usedBytes: 2 }],
        network: { receivedBytesPerSecond: 10, sentBytesPerSecond: 20 },
        processes: 7,
      },
      {
        at: "2026-11-29T10:03:00.000Z",
        cpus: null,
        memoryBytes: null,
        disks: [
          { path: "/tmp", usedBytes: 3 },
          { path: "/home", usedBytes: 4000 },
        ],
        network: { receivedBytesPerSecond: null, sentBytesPerSecond: null },
        processes: null,
      },
    ],
  });
  const [{ path, form }] = asked as [(typeof asked)[number]];
  expect([path, form.start, form.end, form.step]).toEqual(["/api/v1/query_range", String(at(0)), String(at(60)), "60"]);
  const selectors = form.query?.match(/\{[^}]*\}/g);
  expect(selectors).toHaveLength(6);
  expect(new Set(selectors)).toEqual(new Set([`{job="sessions",tenant="acme",session="${id}"}`]));
});

test("a session that has ended can be asked about, another tenant's can't, and nobody asks Prometheus then", async () => {
  const { api, ask, asked } = await open();
  await api.database.updateTable("sessions").set({ state: "stopped" }).execute();
  expect((await ask(times)).json.points).toEqual([]);
  expect((await ask(times, keyOf("beta"))).status).toBe(404);
  expect(asked).toHaveLength(1);
});

test("the number of points is bounded, and a wrong field is named", async () => {
  const { ask, asked } = await open();
  const fault = async (query: string) => (await ask(query)).json.errors?.[0];
  expect(await fault("step=60")).toEqual({ field: "from", rule: "must be given with to or step" });
  expect(await fault("from=yesterday")).toMatchObject({ field: "from" });
  expect(await fault("from=2026-11-29T10:00:00Z&to=2026-11-29T09:59:59Z")).toEqual({
    field: "from",
    rule: "must not be after to",
  });
  expect(await fault(`${times}&step=29`)).toMatchObject({ field: "step" });
  expect(await fault(`${times}&step=1e2`)).toMatchObject({ field: "step" });
  expect(await fault(`${times}&match=up`)).toEqual({ field: "match", rule: "is not known" });
  const day = "from=2026-11-28T10:00:00Z&to=2026-11-29T10:00:00Z";
  expect(await fault(day)).toEqual({ field: "step", rule: "must be at least 174: an answer has 500 points at most" });
  expect(await fault("from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z&step=86400")).toMatchObject({ field: "from" });
  expect(asked).toEqual([]);
  expect((await ask(`${day}&step=174`)).status).toBe(200);
  const { start, end, step } = asked[0]?.form ?? {};
  expect((Number(end) - Number(start)) / Number(step) + 1).toBeLessThanOrEqual(mostPoints);
});

test("a Prometheus that refuses, or says what nobody understands, is a 503 that tells nothing of it", async () => {
  for (const answer of [
    ((_request, response) => response.writeHead(422).end("execution: query timed out")) as RequestListener,
    ((_request, response) => response.end("<html>")) as RequestListener,
    ((request) => request.socket.destroy()) as RequestListener,
  ]) {
    const { status, json } = await (await open(answer)).ask(times);
    expect([status, json.detail]).toEqual([
      503,
      "Metrics over time can't be asked for at the moment. Please try again.",
    ]);
  }
});

test("a tenant asks three questions at the same time; one more is refused, and another tenant's is answered", async () => {
  const waiting: (() => void)[] = [];
  let all = () => {};
  const asking = new Promise<void>((resolve) => {
    all = resolve;
  });
  const { api, ask } = await open((_request, response) => {
    waiting.push(() => response.end('{"data":{"result":[]}}'));
    if (waiting.length === 3) all();
    if (waiting.length > 3) waiting.at(-1)?.();
  });
  const first = [1, 2, 3].map(() => ask(times));
  await asking;
  const { status, headers } = await ask(times);
  expect([status, headers["retry-after"]]).toEqual([429, "10"]);
  const key = keyOf("beta");
  const { id } = (await call(api, "POST", "/v1/sessions", { key, body: { tier: "small" } })).json;
  expect((await call(api, "GET", `/v1/sessions/${id}/metrics?${times}`, { key })).status).toBe(200);
  for (const answer of waiting) answer();
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect((await ask(times)).status).toBe(200);
});

test("without a Prometheus the answer names the config's key", async () => {
  const api = await openApi();
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  const { status, json } = await call(api, "GET", `/v1/sessions/${id}/metrics?${times}`);
  expect([status, json.detail]).toEqual([409, expect.stringContaining("prometheus.sessionHistory")]);
});
