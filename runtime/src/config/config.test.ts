import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ConfigError, loadConfig, loadDatabaseConfig, loadStoresConfig, Variables } from "./config.ts";

function secrets(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "berth-secrets-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const allSecrets = {
  "postgres-password": "pg\n",
  "redis-password": "re\n",
  "token-key": "0123456789abcdef0123456789abcdef\n",
};
const needed = {
  POSTGRES_HOST: "postgres",
  REDIS_HOST: "redis",
  AGENT_IMAGE: "agent@sha256:abc",
  BERTHD_IMAGE: "berthd@sha256:abc",
  PUBLIC_URL: "http://127.0.0.1:30080/",
};

function faultsOf(load: () => unknown): string[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

test("the variables that are set, and the defaults of the others", () => {
  expect(loadConfig({ ...needed, SECRETS_DIR: secrets(allSecrets), HTTP_PORT: "8080" })).toMatchObject({
    HTTP_PORT: 8080,
    WEBSOCKET_PORT: 3001,
    POSTGRES_DATABASE: "berth",
    PUBLIC_URL: "http://127.0.0.1:30080",
    LOG_LEVEL: "info",
    POSTGRES_TLS: false,
    POSTGRES_POOL: 10,
    SESSION_PORT: 3002,
    SESSION_URL: "http://api.berth.svc:3002",
    RATE_LIMIT_PER_MINUTE: 600,
    BACKLOG_LIMIT: 200,
    MAX_STARTING: 10,
    MAX_STARTING_PER_NODE: 3,
    OIDC_TENANT_CLAIM: "tenant",
    postgresPassword: "pg",
    redisPassword: "re",
  });
});

test("all errors at once, one line each", () => {
  const wrong = {
    POSTGRES_HOST: "",
    HTTP_PORT: "http",
    PUBLIC_URL: "ftp://x",
    AGENT_IMAGE: "a",
    BERTHD_IMAGE: "b",
    REDIS_TLS: "yes",
    POSTGRES_POOL: "1",
    MAX_STARTING: "0",
    MAX_STARTING_PER_NODE: "-1",
    BACKLOG_LIMIT: "many",
    OIDC_ISSUER: "https://login.example",
    SANDBOX_URL: "https://x.example/path",
    OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318",
    SECRETS_DIR: secrets({ "redis-password": "", "token-key": "short" }),
  };
  expect(faultsOf(() => loadConfig(wrong))).toEqual([
    "POSTGRES_HOST: must not be empty",
    "POSTGRES_POOL: must be at least 2",
    "OTEL_EXPORTER_OTLP_ENDPOINT: must be an http or https address",
    "REDIS_HOST: must be set",
    "REDIS_TLS: must be true or false",
    "HTTP_PORT: must be a port number",
    "PUBLIC_URL: must be an http or https address",
    "SANDBOX_URL: must have a host, and nothing after the host but a port",
    "BACKLOG_LIMIT: must be a number of sessions",
    "MAX_STARTING: must be at least 1",
    "MAX_STARTING_PER_NODE: must be at least 0",
    "OIDC_AUDIENCE: must be set if OIDC_ISSUER is set",
    expect.stringMatching(/^secret file postgres-password in .*: can't be read \(ENOENT\)$/),
    expect.stringMatching(/^secret file redis-password in .*: must not be empty$/),
    expect.stringMatching(/^secret file token-key in .*: must have at least 32 characters$/),
  ]);
});

const tooNear =
  "must have another origin than PUBLIC_URL and, with a *, another domain, because sessions' pages must not share the API's origin or cookies";

test.each([
  ["http://127.0.0.1:30080", tooNear],
  ["https://*.sandbox.example.org", tooNear, "https://sandbox.example.org"],
  ["ftp://*.example", "must be an http or https address"],
  ["https://a.*.example", "must have its * as the first label of the host, like https://*.sandbox.example.org"],
  ["https://*.127.0.0.1", "must be an http or https address"],
])("the ports of sessions can't be at %s", (SANDBOX_URL, rule, PUBLIC_URL = needed.PUBLIC_URL) => {
  const faults = faultsOf(() => loadConfig({ ...needed, SECRETS_DIR: secrets(allSecrets), SANDBOX_URL, PUBLIC_URL }));
  expect(faults).toEqual([`SANDBOX_URL: ${rule}`]);
});

test("the role `migrate` needs only the database", () => {
  const folder = secrets({ "postgres-password": "pg" });
  expect(loadDatabaseConfig({ POSTGRES_HOST: "postgres", SECRETS_DIR: folder })).toMatchObject({
    POSTGRES_PORT: 5432,
    postgresPassword: "pg",
  });
});

test("the role `cleanup` needs both stores, but no key and no tenants", () => {
  const folder = secrets({ "postgres-password": "pg", "redis-password": "re" });
  const environment = { POSTGRES_HOST: "postgres", REDIS_HOST: "redis", REDIS_TLS: "true", SECRETS_DIR: folder };
  expect(loadStoresConfig(environment)).toMatchObject({ REDIS_PORT: 6379, REDIS_TLS: true, redisPassword: "re" });
});

test("docs/runtime.md contains every variable", () => {
  const table = readFileSync(join(import.meta.dirname, "../../../docs/runtime.md"), "utf8");
  for (const name of Object.keys(Variables.shape)) expect(table).toContain(`| \`${name}\` |`);
});

test("all token keys in the folder are loaded, and the signing key is required", () => {
  const key = (digit: string) => digit.repeat(32);
  const folder = secrets({
    ...{ "postgres-password": "pg", "redis-password": "re" },
    ...{ "token-key": key("1"), "token-key-2": key("2"), "token-key-3": key("3") },
  });
  const { tokenKeys } = loadConfig({ ...needed, SECRETS_DIR: folder, TOKEN_KEY_ID: "2" });
  expect([tokenKeys.get(tokenKeys.current), tokenKeys.ids.toSorted()]).toEqual([key("2"), [1, 2, 3]]);
  expect(faultsOf(() => loadConfig({ ...needed, SECRETS_DIR: folder, TOKEN_KEY_ID: "4" }))).toEqual([
    expect.stringMatching(/^secret file token-key-4 in .*: can't be read \(ENOENT\)$/),
  ]);
});
