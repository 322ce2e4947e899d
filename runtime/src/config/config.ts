/** The runtime's configuration: environment variables and the secret files beside them, checked once at start. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { faultOfSandboxUrl, SandboxUrl } from "../domain/sandboxUrl.ts";
import type { PodImages } from "../domain/sessionImages.ts";
import { firstKeyId, TokenKeys } from "./tokenKeys.ts";

const port = (value: number) => z.coerce.number("must be a port number").int().min(1).max(65535).default(value);
const atLeastOne = (what: string, value: number) =>
  z.coerce.number(`must be ${what}`).int(`must be ${what}`).min(1, "must be at least 1").default(value);
const text = z.string("must be set").min(1, "must not be empty");
const flag = z
  .enum(["true", "false"], "must be true or false")
  .default("false")
  .transform((value) => value === "true");
const address = z
  .url({ protocol: /^https?$/, error: "must be an http or https address" })
  .transform((url) => url.replace(/\/+$/, ""));

const databaseVariables = {
  /** Host of Postgres. Required. */
  POSTGRES_HOST: text,
  /** Port of Postgres. Default 5432. */
  POSTGRES_PORT: port(5432),
  /** Database name. Default berth. */
  POSTGRES_DATABASE: text.default("berth"),
  /** Database user. Default berth. Its password is the file `postgres-password` in SECRETS_DIR. */
  POSTGRES_USER: text.default("berth"),
  /** Whether Postgres is spoken to by TLS. A private authority's certificate is named by NODE_EXTRA_CA_CERTS. Default false. */
  POSTGRES_TLS: flag,
  /** Connections to Postgres that the process opens at most. Default 10. */
  POSTGRES_POOL: z.coerce
    .number("must be a number of connections")
    .int("must be a number of connections")
    .min(2, "must be at least 2")
    .default(10),
  /** Folder with the secret files `postgres-password`, `redis-password` and `token-key` (and more of those, see TOKEN_KEY_ID). Default /etc/berth/secrets. */
  SECRETS_DIR: text.default("/etc/berth/secrets"),
  /** One of fatal, error, warn, info, debug, trace, silent. Default info. */
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
  /** Where traces are sent by OTLP over HTTP, e.g. http://collector:4318. Default: nowhere, and nothing is traced. */
  OTEL_EXPORTER_OTLP_ENDPOINT: address.optional(),
};

const storesVariables = {
  ...databaseVariables,
  /** Host of Redis. Required. Its password is the file `redis-password` in SECRETS_DIR. */
  REDIS_HOST: text,
  /** Port of Redis. Default 6379. */
  REDIS_PORT: port(6379),
  /** Whether Redis is spoken to by TLS. Default false. */
  REDIS_TLS: flag,
  /** Seconds for which the end of an agent's log is kept after its session's end. 0: it is not. Default 604800: a week. */
  LOG_RETENTION_SECONDS: z.coerce
    .number("must be a number of seconds")
    .int("must be a number of seconds")
    .min(0, "must be at least 0")
    .default(604_800),
};

const DatabaseVariables = z.object(databaseVariables);
const StoresVariables = z.object(storesVariables);

/** Every variable, as the roles `api`, `gateway` and `worker` take them. */
export const Variables = z.object({
  ...storesVariables,
  /** Id of the key that signs: 1 for the file `token-key`, 2 for `token-key-2`, … Those of the others are taken. Default 1. */
  TOKEN_KEY_ID: z.coerce.number("must be a key's id").int("must be a key's id").min(1, "must be at least 1").default(1),
  /** Port for the HTTP API, health, metrics, the desktop page and WebSockets. Default 3000. */
  HTTP_PORT: port(3000),
  /** Port that takes WebSocket upgrades only (API role). Default 3001. */
  WEBSOCKET_PORT: port(3001),
  /** Port of the in-pod channel, for sessions only (API and gateway role). Default 3002. */
  SESSION_PORT: port(3002),
  /** The address at which sessions' pods reach that port. Default http://api.berth.svc.cluster.local:3002. */
  SESSION_URL: address.default("http://api.berth.svc.cluster.local:3002"),
  /** Where the role `gateway` forwards what it doesn't serve itself. Default http://api.berth.svc.cluster.local. */
  API_URL: address.default("http://api.berth.svc.cluster.local"),
  /** Where the gateway is that is a process of its own. Default: none, and the role `api` is the gateway too. */
  GATEWAY_URL: address.optional(),
  /** The tenants and the hashes of their keys; read again whenever it changes. Default /etc/berth/tenants/tenants.json. */
  TENANTS_FILE: text.default("/etc/berth/tenants/tenants.json"),
  /** Image of sessions that name none, with a desktop, best by digest. Required. */
  AGENT_IMAGE: text,
  /** Whether berthd of this version is built into that image; else it is copied into each of its pods. Default true. */
  AGENT_IMAGE_HAS_BERTHD: flag.default(true),
  /** Image of their sidecar, which is berthd alone, and from which it is copied. Required. */
  BERTHD_IMAGE: text,
  /** The address users reach the API at, used in links. Required, e.g. http://127.0.0.1:30080. */
  PUBLIC_URL: address,
  /** Where sessions' ports are reached (API role), e.g. https://*.sandbox.example.org. Default: nowhere. */
  SANDBOX_URL: z
    .string()
    .check((check) => {
      const fault = faultOfSandboxUrl(check.value);
      if (fault !== undefined) check.issues.push({ code: "custom", input: check.value, message: fault });
    })
    .optional(),
  /** Port for sessions' ports, where SANDBOX_URL is set (API role). Default 3003. */
  SANDBOX_PORT: port(3003),
  /** Seconds a session may take from `starting` to `running` before it fails. Default 300. */
  START_TIMEOUT_SECONDS: atLeastOne("a number of seconds", 300),
  /** Requests that one key may make per minute. Default 600. */
  RATE_LIMIT_PER_MINUTE: atLeastOne("a number of requests", 600),
  /** Sessions of one tenant that may wait in the queue; beyond it creates are refused. Default 200. */
  BACKLOG_LIMIT: atLeastOne("a number of sessions", 200),
  /** Sessions that may be starting at the same time, of all tenants. Default 10. */
  MAX_STARTING: atLeastOne("a number of sessions", 10),
  /** Namespace of the Lease by which the workers choose their leader. Default berth. */
  LEASE_NAMESPACE: text.default("berth"),
  /** Issuer whose tokens are taken beside keys, e.g. https://login.example. Default: none. */
  OIDC_ISSUER: address.optional(),
  /** Audience that those tokens must name. Required with OIDC_ISSUER. */
  OIDC_AUDIENCE: text.optional(),
  /** Claim of those tokens that names the tenant. Default tenant. */
  OIDC_TENANT_CLAIM: text.default("tenant"),
  /** Networks (CIDR, comma separated) of proxies whose X-Forwarded-For is believed. Default: none. */
  TRUSTED_PROXIES: z
    .string()
    .default("")
    .transform((list) => list.split(",").flatMap((one) => one.trim() || []))
    .pipe(z.array(z.union([z.cidrv4(), z.cidrv6()], "must be networks in CIDR notation"))),
  /** Whether webhooks may go to private addresses, and by plain http. Default false. */
  WEBHOOK_ALLOW_PRIVATE: flag,
});

const WithOidc = Variables.refine(
  (variables) => variables.OIDC_ISSUER === undefined || variables.OIDC_AUDIENCE !== undefined,
  {
    path: ["OIDC_AUDIENCE"],
    error: "must be set where OIDC_ISSUER is",
    when: () => true,
  },
).refine(
  ({ SANDBOX_URL, PUBLIC_URL }) =>
    SANDBOX_URL === undefined ||
    PUBLIC_URL === undefined ||
    faultOfSandboxUrl(SANDBOX_URL) !== undefined ||
    !new SandboxUrl(SANDBOX_URL).servesOrigin(PUBLIC_URL),
  {
    path: ["SANDBOX_URL"],
    error: "must not have the origin of PUBLIC_URL: sessions' pages would be pages of the API",
    when: () => true,
  },
);

export type DatabaseConfig = z.infer<typeof DatabaseVariables> & { postgresPassword: string };
export type StoresConfig = z.infer<typeof StoresVariables> & { postgresPassword: string; redisPassword: string };
export type Config = z.infer<typeof Variables> & StoresConfig & { tokenKeys: TokenKeys };

/** Everything that is wrong with the configuration, one line per fault. */
export class ConfigError extends Error {
  override name = "ConfigError";
  readonly faults: string[];
  constructor(faults: string[]) {
    super(faults.join("\n"));
    this.faults = faults;
  }
}

type Environment = Record<string, string | undefined>;

/** The configuration of the roles `api`, `gateway` and `worker`. Throws ConfigError with every fault. */
export function loadConfig(environment: Environment): Config {
  const signs = Number(environment.TOKEN_KEY_ID ?? firstKeyId) || firstKeyId;
  const keyFiles = new Set([keyFile(signs), ...keyFilesIn(environment.SECRETS_DIR ?? secretsFolder)]);
  const [variables, secrets] = load(WithOidc, environment, ["postgres-password", "redis-password", ...keyFiles]);
  const keys = [...keyFiles].map((name): [number, string] => [idOfKey(name), secrets[name] ?? ""]);
  return { ...variables, ...passwords(secrets), tokenKeys: new TokenKeys(new Map(keys), variables.TOKEN_KEY_ID) };
}

/** The file of a token key in the folder of secrets: `token-key` of the first, `token-key-2` of the second, … */
const keyFile = (id: number) => (id === firstKeyId ? "token-key" : `token-key-${id}`);
const idOfKey = (file: string) => Number(/^token-key-(\d+)$/.exec(file)?.[1] ?? firstKeyId);

/** The files of keys that are there, none if the folder can't be read: the key that signs is missed then. */
function keyFilesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^token-key(-([2-9]|[1-9]\d{1,3}))?$/.test(name));
  } catch {
    return [];
  }
}

/** What sessions' pods run. */
export const podImages = (
  config: Pick<Config, "AGENT_IMAGE" | "AGENT_IMAGE_HAS_BERTHD" | "BERTHD_IMAGE">,
): PodImages => ({
  agent: config.AGENT_IMAGE,
  agentHasBerthd: config.AGENT_IMAGE_HAS_BERTHD,
  berthd: config.BERTHD_IMAGE,
});

/** The part that the role `cleanup` needs. Throws ConfigError with every fault. */
export function loadStoresConfig(environment: Environment): StoresConfig {
  const [variables, secrets] = load(StoresVariables, environment, ["postgres-password", "redis-password"]);
  return { ...variables, ...passwords(secrets) };
}

/** The part that the role `migrate` needs. Throws ConfigError with every fault. */
export function loadDatabaseConfig(environment: Environment): DatabaseConfig {
  const [variables, secrets] = load(DatabaseVariables, environment, ["postgres-password"]);
  return { ...variables, postgresPassword: secrets["postgres-password"] };
}

const passwords = (secrets: Record<string, string>) => ({
  postgresPassword: secrets["postgres-password"] ?? "",
  redisPassword: secrets["redis-password"] ?? "",
});

/** Characters that a secret must have at least. */
const leastOf = (name: string) => (name.startsWith("token-key") ? 32 : 1);

/** Where the secrets are unless SECRETS_DIR says otherwise. */
const secretsFolder = "/etc/berth/secrets";

function load<V extends { SECRETS_DIR: string }, S extends string>(
  schema: z.ZodType<V>,
  environment: Environment,
  secretNames: S[],
): [V, Record<S, string>] {
  const parsed = schema.safeParse(environment);
  const faults = parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  const folder = parsed.success ? parsed.data.SECRETS_DIR : (environment.SECRETS_DIR ?? secretsFolder);
  const secrets = {} as Record<S, string>;
  for (const name of secretNames) {
    const fault = (rule: string) => faults.push(`secret file ${name} in ${folder}: ${rule}`);
    const least = leastOf(name);
    try {
      secrets[name] = readFileSync(join(folder, name), "utf8").trim();
      if (secrets[name] === "") fault("must not be empty");
      else if (secrets[name].length < least) fault(`must have at least ${least} characters`);
    } catch (error) {
      fault(`can't be read (${(error as NodeJS.ErrnoException).code})`);
    }
  }
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return [parsed.data, secrets];
}
