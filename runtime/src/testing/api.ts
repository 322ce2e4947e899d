/** Serves the API for tests. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NestFastifyApplication } from "@nestjs/platform-fastify";
import type { InjectOptions } from "fastify";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { onTestFinished } from "vitest";
import { Peers } from "../api/access/peers.ts";
import { createHttp } from "../api/http/http.ts";
import type { Config } from "../config/config.ts";
import type { Tenant } from "../domain/tenants.ts";
import { forwardCalls, forwardedRoute } from "../gateway/callForwarder.ts";
import { UpgradeForwarder } from "../gateway/upgradeForwarder.ts";
import { WebSockets } from "../gateway/webSockets.ts";
import { connectRedis } from "../queue/redis.ts";
import { apiModule } from "../roles/apiModule.ts";
import { gatewayModule } from "../roles/gatewayModule.ts";
import { takeUpgrades, type Upgrades } from "../roles/servers.ts";
import type { Database } from "../store/database.ts";
import { type Records, recordsOn } from "../store/records.ts";
import {
  cipher,
  emptyRedis,
  freshDatabase,
  keyOf,
  patienceMs,
  silent,
  storesConfig,
  tenant,
  tenantsFile,
} from "./fixtures.ts";

export interface OpenApi {
  app: NestFastifyApplication;
  store: Records;
  database: Database;
  config: Config;
  redis: Redis;
}

/** Creates the API without a port. By default the tenants are acme and beta. */
export async function openApi(
  changes: Partial<Config> = {},
  tenants: Tenant[] = [tenant("acme"), tenant("beta")],
  { podPort }: { podPort?: number } = {},
): Promise<OpenApi> {
  const { name, database } = await freshDatabase();
  const config = { ...storesConfig(name, tenantsFile(...tenants)), ...changes };
  const redis = changes.REDIS_PORT === undefined ? await emptyRedis() : connectRedis(config, silent);
  const peers = new Peers(config.tokenKeys, config.TRUSTED_PROXIES);
  const module = apiModule(config, { database, redis }, silent, { patienceMs, podPort });
  const app = await createHttp(module, silent, { peers });
  await app.init();
  onTestFinished(async () => {
    await app.close();
    redis.disconnect();
  });
  return { app, database, config, redis, store: recordsOn(database, cipher, { generation: 0 }) };
}

/** Makes the API listen on a port of this machine, also for WebSockets. Returns the URL, e.g. http://127.0.0.1:1234. */
export async function listen({ app, config }: Pick<OpenApi, "app" | "config">, port = 0): Promise<string> {
  takeUpgrades(
    app.getHttpServer(),
    app.get<Upgrades>(config.GATEWAY_URL === undefined ? WebSockets : UpgradeForwarder),
  );
  await app.listen(port, "127.0.0.1");
  return originOf(app.getHttpServer());
}

/**
 * Starts a separate gateway, which uses the API's stores and reaches the API at `target`. The gateway stops when
 * the test ends. `podPort`: the port of berthd in the pods; `port`: by default a free port.
 */
export async function openGateway(
  { config: ofApi, database, redis }: Pick<OpenApi, "config" | "database" | "redis">,
  target: string,
  { podPort, logger = silent, port = 0 }: { podPort?: number; logger?: Logger; port?: number } = {},
): Promise<{ app: NestFastifyApplication; origin: string }> {
  const { GATEWAY_URL: _gateway, ...config } = ofApi;
  const peers = new Peers(config.tokenKeys, config.TRUSTED_PROXIES);
  const module = gatewayModule(config, { database, redis }, logger, { patienceMs, podPort });
  const app = await createHttp(module, logger, { peers, routine: [forwardedRoute] });
  forwardCalls(app.getHttpAdapter().getInstance(), { target, peers, logger });
  onTestFinished(() => app.close());
  return { app, origin: await listen({ app, config }, port) };
}

export const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** Calls the API without a port. The key is acme's by default; "" sends no key. */
export async function call(
  { app }: Pick<OpenApi, "app">,
  method: InjectOptions["method"],
  url: string,
  options: { key?: string; body?: unknown; headers?: Record<string, string> } = {},
) {
  const { key = keyOf("acme"), body, headers } = options;
  const response = await app.inject({
    method: method ?? "GET",
    url,
    headers: { ...(key !== "" && { authorization: `Bearer ${key}` }), ...headers },
    ...(body !== undefined && { payload: body as object }),
  });
  const json = response.headers["content-type"]?.includes("json") ? response.json() : undefined;
  return { status: response.statusCode, headers: response.headers, type: response.headers["content-type"], json };
}

/**
 * A fake of the Kubernetes API for the calls of the role `api`: every pod is missing, unless `answer` says otherwise. Until
 * the test ends, this process's variable KUBECONFIG points to the fake. An answer with `goesOn` does not end.
 */
export async function fakeCluster(
  answer: (path: string) => { status: number; body: string; goesOn?: boolean } = () => ({
    status: 404,
    body: JSON.stringify({ kind: "Status", code: 404, reason: "NotFound", message: "pods not found" }),
  }),
): Promise<Server> {
  const server = createServer((request, response) => {
    const { status, body, goesOn } = answer(request.url ?? "");
    response.writeHead(status, { "content-type": "application/json" }).write(body);
    if (!goesOn) response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const folder = mkdtempSync(join(tmpdir(), "berth-kubeconfig-"));
  const path = join(folder, "config");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "fake", cluster: { server: originOf(server), "insecure-skip-tls-verify": true } }],
    users: [{ name: "fake", user: {} }],
    contexts: [{ name: "fake", context: { cluster: "fake", user: "fake" } }],
    "current-context": "fake",
  };
  writeFileSync(path, JSON.stringify(config));
  const before = process.env.KUBECONFIG;
  process.env.KUBECONFIG = path;
  onTestFinished(() => {
    if (before === undefined) delete process.env.KUBECONFIG;
    else process.env.KUBECONFIG = before;
    rmSync(folder, { recursive: true });
    server.close();
    server.closeAllConnections();
  });
  return server;
}
