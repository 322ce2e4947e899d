/** Compares the requests per second of GET /v1/sessions/:id in the real API with a bare route that runs the same query. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import autocannon from "autocannon";
import { median, report } from "./report.ts";
import { call, key, startRuntime } from "./runtime.ts";

const [apiPort, barePort] = [23_000, 23_010];
const rounds = 5;

const runtime = await startRuntime();
const bare = spawn(process.execPath, [join(import.meta.dirname, "bare-route.ts")], {
  env: { ...runtime.env, HTTP_PORT: String(barePort) },
  stdio: "inherit",
});
try {
  await runtime.start("api", apiPort);
  const { id } = await call<{ id: string }>(apiPort, "POST", "/v1/sessions", { tier: "small" });
  const perSecond = async (port: number, duration: number): Promise<number> => {
    const result = await autocannon({
      url: `http://127.0.0.1:${port}/v1/sessions/${id}`,
      headers: { authorization: `Bearer ${key}` },
      connections: 20,
      duration,
    });
    if (result.non2xx > 0 || result.errors > 0)
      throw new Error(`${result.non2xx} responses not 2xx, ${result.errors} errors`);
    return result.requests.total / result.duration;
  };
  await sleep(500);
  for (const port of [apiPort, barePort]) await perSecond(port, 3); // so that the code of both is compiled
  // Each round measures both variants, because the load of other work on the machine changes.
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const [least, api] = [await perSecond(barePort, 4), await perSecond(apiPort, 4)];
    console.error(`  bare ${least.toFixed(0)}/s, API ${api.toFixed(0)}/s`);
    ratios.push(api / least);
  }
  report("get-session-requests", median(ratios), ">=0.5");
} finally {
  bare.kill();
  await runtime.stop();
}
