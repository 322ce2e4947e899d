import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ConfigError, loadConfig, loadDatabaseConfig } from "./config.ts";

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

test("what is set, and the defaults for the rest", () => {
  expect(loadConfig({ ...needed, SECRETS_DIR: secrets(allSecrets), HTTP_PORT: "8080" })).toMatchObject({
    HTTP_PORT: 8080,
    WEBSOCKET_PORT: 3001,
    POSTGRES_DATABASE: "berth",
    PUBLIC_URL: "http://127.0.0.1:30080",
    LOG_LEVEL: "info",
    postgresPassword: "pg",
    redisPassword: "re",
  });
});

test("all faults at once, a line each", () => {
  const wrong = {
    POSTGRES_HOST: "",
    HTTP_PORT: "http",
    PUBLIC_URL: "ftp://x",
    AGENT_IMAGE: "a",
    SECRETS_DIR: secrets({ ...allSecrets, "redis-password": "" }),
  };
  expect(faultsOf(() => loadConfig(wrong))).toEqual([
    "POSTGRES_HOST: must not be empty",
    "HTTP_PORT: must be a port number",
    "REDIS_HOST: must be set",
    "PUBLIC_URL: must be an http or https address",
    expect.stringMatching(/^secret file redis-password in .*: must not be empty$/),
  ]);
});

test("a short token key is refused", () => {
  const folder = secrets({ ...allSecrets, "token-key": "short" });
  expect(faultsOf(() => loadConfig({ ...needed, SECRETS_DIR: folder }))).toEqual([
    "secret file token-key: must have at least 32 characters",
  ]);
});

test("migrations need the database only", () => {
  const folder = secrets({ "postgres-password": "pg" });
  expect(loadDatabaseConfig({ POSTGRES_HOST: "postgres", SECRETS_DIR: folder })).toMatchObject({
    POSTGRES_PORT: 5432,
    postgresPassword: "pg",
  });
});
