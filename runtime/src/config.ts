/** The runtime's configuration: environment variables and the secret files beside them, checked once at start. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const port = (value: number) => z.coerce.number("must be a port number").int().min(1).max(65535).default(value);
const text = z.string("must be set").min(1, "must not be empty");

const databaseVariables = {
  /** Host of Postgres. Required. */
  POSTGRES_HOST: text,
  /** Port of Postgres. Default 5432. */
  POSTGRES_PORT: port(5432),
  /** Database name. Default berth. */
  POSTGRES_DATABASE: text.default("berth"),
  /** Database user. Default berth. Its password is the file `postgres-password` in SECRETS_DIR. */
  POSTGRES_USER: text.default("berth"),
  /** Folder with the secret files `postgres-password`, `redis-password` and `token-key`. Default /etc/berth/secrets. */
  SECRETS_DIR: text.default("/etc/berth/secrets"),
  /** One of fatal, error, warn, info, debug, trace, silent. Default info. */
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
};

const DatabaseVariables = z.object(databaseVariables);

const Variables = z.object({
  ...databaseVariables,
  /** Port for the HTTP API, health, metrics, the desktop page and WebSockets. Default 3000. */
  HTTP_PORT: port(3000),
  /** Port that takes WebSocket upgrades only (API role). Default 3001. */
  WEBSOCKET_PORT: port(3001),
  /** Host of Redis. Required. Its password is the file `redis-password` in SECRETS_DIR. */
  REDIS_HOST: text,
  /** Port of Redis. Default 6379. */
  REDIS_PORT: port(6379),
  /** The tenants and the hashes of their keys; read again whenever it changes. Default /etc/berth/tenants/tenants.json. */
  TENANTS_FILE: text.default("/etc/berth/tenants/tenants.json"),
  /** Image of the session's pod, best by digest. Required. */
  AGENT_IMAGE: text,
  /** The address users reach the API at, used in links. Required, e.g. http://127.0.0.1:30080. */
  PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: "must be an http or https address" })
    .transform((url) => url.replace(/\/+$/, "")),
  /** Seconds a session may take from `starting` to `running` before it fails. Default 300. */
  START_TIMEOUT_SECONDS: z.coerce.number("must be a number of seconds").int().min(1).default(300),
});

export type DatabaseConfig = z.infer<typeof DatabaseVariables> & { postgresPassword: string };
export type Config = z.infer<typeof Variables> & { postgresPassword: string; redisPassword: string; tokenKey: string };

/** Everything that is wrong with the configuration, one line per fault. */
export class ConfigError extends Error {
  override name = "ConfigError";
  constructor(readonly faults: string[]) {
    super(faults.join("\n"));
  }
}

type Environment = Record<string, string | undefined>;

/** The configuration of the roles `api` and `worker`. Throws ConfigError with every fault. */
export function loadConfig(environment: Environment): Config {
  const [variables, secrets] = load(Variables, environment, ["postgres-password", "redis-password", "token-key"]);
  const tokenKey = secrets["token-key"];
  if (tokenKey.length < 32) throw new ConfigError([`secret file token-key: must have at least 32 characters`]);
  return {
    ...variables,
    postgresPassword: secrets["postgres-password"],
    redisPassword: secrets["redis-password"],
    tokenKey,
  };
}

/** The part that the role `migrate` needs. Throws ConfigError with every fault. */
export function loadDatabaseConfig(environment: Environment): DatabaseConfig {
  const [variables, secrets] = load(DatabaseVariables, environment, ["postgres-password"]);
  return { ...variables, postgresPassword: secrets["postgres-password"] };
}

function load<V extends { SECRETS_DIR: string }, S extends string>(
  schema: z.ZodType<V>,
  environment: Environment,
  secretNames: S[],
): [V, Record<S, string>] {
  const parsed = schema.safeParse(environment);
  const faults = parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  const folder = parsed.success ? parsed.data.SECRETS_DIR : (environment.SECRETS_DIR ?? "/etc/berth/secrets");
  const secrets = {} as Record<S, string>;
  for (const name of secretNames) {
    try {
      secrets[name] = readFileSync(join(folder, name), "utf8").trim();
      if (secrets[name] === "") faults.push(`secret file ${name} in ${folder}: must not be empty`);
    } catch (error) {
      faults.push(`secret file ${name} in ${folder}: can't be read (${(error as NodeJS.ErrnoException).code})`);
    }
  }
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return [parsed.data, secrets];
}
