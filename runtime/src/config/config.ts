/** The runtime's configuration: environment variables and secret files, checked once at start. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { faultOfSandboxUrl, SandboxUrl } from "../domain/sandboxUrl.ts";
import type { PodImages } from "../domain/sessionImages.ts";
import { firstKeyId, TokenKeys } from "./tokenKeys.ts";

const port = (value: number) => z.coerce.number("must be a port number").int().min(1).max(65535).default(value);
const atLeastOne = (what: string, value: number) =>
  z.coerce.number(`must be ${what}`).int(`must be ${what}`).min(1, "must be at least 1").default(value);
const notNegative = (what: string, value: number) =>
  z.coerce.number(`must be ${what}`).int(`must be ${what}`).min(0, "must be at least 0").default(value);
const day = 86_400;
/** A retention in seconds. The arguments are in days. Webhooks need events for over a day, so the default minimum is 2 days. */
const retention = (days: number, least = 2) =>
  z.coerce
    .number("must be a number of seconds")
    .int("must be a number of seconds")
    .min(least * day, `must be at least ${least * day}`)
    .default(days * day);
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
  /** Database user. Default berth. The password is in the file `postgres-password` in SECRETS_DIR. */
  POSTGRES_USER: text.default("berth"),
  /**
   * Whether connections to Postgres use TLS. If a private certificate authority signed the certificate of Postgres, the
   * path of the authority's certificate must be in NODE_EXTRA_CA_CERTS. Default false.
   */
  POSTGRES_TLS: flag,
  /** How many connections to Postgres the process opens at most. Default 10. */
  POSTGRES_POOL: z.coerce
    .number("must be a number of connections")
    .int("must be a number of connections")
    .min(2, "must be at least 2")
    .default(10),
  /**
   * Folder of the secret files `postgres-password`, `redis-password` and `token-key` (and further token keys, see
   * TOKEN_KEY_ID). Default /etc/berth/secrets.
   */
  SECRETS_DIR: text.default("/etc/berth/secrets"),
  /** One of fatal, error, warn, info, debug, trace, silent. Default info. */
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
  /** Where traces are sent to with OTLP over HTTP, e.g. http://collector:4318. Default: none, and nothing is traced. */
  OTEL_EXPORTER_OTLP_ENDPOINT: address.optional(),
};

const storesVariables = {
  ...databaseVariables,
  /** Host of Redis. Required. The password is in the file `redis-password` in SECRETS_DIR. */
  REDIS_HOST: text,
  /** Port of Redis. Default 6379. */
  REDIS_PORT: port(6379),
  /** Whether connections to Redis use TLS. Default false. */
  REDIS_TLS: flag,
  /**
   * For how many seconds the end of an agent's log is kept after the session has ended. 0: the log is not kept.
   * Default 604800: a week.
   */
  LOG_RETENTION_SECONDS: notNegative("a number of seconds", 604_800),
};

const DatabaseVariables = z.object(databaseVariables);
const StoresVariables = z.object(storesVariables);

/** All variables of the roles `api`, `gateway` and `worker`. */
export const Variables = z.object({
  ...storesVariables,
  /**
   * Id of the key that signs: 1 for the file `token-key`, 2 for `token-key-2`, and so on. What the other keys have
   * signed stays valid. Default 1.
   */
  TOKEN_KEY_ID: z.coerce.number("must be a key's id").int("must be a key's id").min(1, "must be at least 1").default(1),
  /** Port for the HTTP API, health, metrics, the desktop page and WebSockets. Default 3000. */
  HTTP_PORT: port(3000),
  /** Port that accepts WebSocket upgrades only (API role). Default 3001. */
  WEBSOCKET_PORT: port(3001),
  /** Port of the in-pod channel, which only sessions' pods use (API and gateway role). Default 3002. */
  SESSION_PORT: port(3002),
  /** The URL at which sessions' pods reach the in-pod channel. Default http://api.berth.svc:3002. */
  SESSION_URL: address.default("http://api.berth.svc:3002"),
  /**
   * The URL to which the role `gateway` forwards the calls that it doesn't serve itself. Default
   * http://api.berth.svc.
   */
  API_URL: address.default("http://api.berth.svc"),
  /** The URL of the gateway, if it is a separate process. Default: none, and the role `api` is also the gateway. */
  GATEWAY_URL: address.optional(),
  /**
   * The file with the tenants and the hashes of their keys, read again when the file changes. Default
   * /etc/berth/tenants/tenants.json.
   */
  TENANTS_FILE: text.default("/etc/berth/tenants/tenants.json"),
  /** Image of the sessions that name no image. It must have a desktop, and should be named by digest. Required. */
  AGENT_IMAGE: text,
  /**
   * Whether AGENT_IMAGE contains berthd of this version. If false, each pod with this image gets berthd in a volume.
   * Default true.
   */
  AGENT_IMAGE_HAS_BERTHD: flag.default(true),
  /**
   * Image that contains only berthd: the image of the sidecar, and the source of the volume with berthd.
   * Required.
   */
  BERTHD_IMAGE: text,
  /** What the volume with berthd is: `copy`, which an init container fills, or `image`, an image volume. Default copy. */
  BERTHD_VOLUME: z.enum(["copy", "image"], "must be copy or image").default("copy"),
  /** The URL at which users reach the API, used in links. Required, e.g. http://127.0.0.1:30080. */
  PUBLIC_URL: address,
  /**
   * The URL at which users reach sessions' ports, e.g. https://*.sandbox.example.org. The role `gateway` serves the ports,
   * or without GATEWAY_URL the role `api`. Default: none, and no ports are served.
   */
  SANDBOX_URL: z
    .string()
    .check((check) => {
      const fault = faultOfSandboxUrl(check.value);
      if (fault !== undefined) check.issues.push({ code: "custom", input: check.value, message: fault });
    })
    .optional(),
  /** Port for requests to sessions' ports, in the role that serves them, if SANDBOX_URL is set. Default 3003. */
  SANDBOX_PORT: port(3003),
  /** The URL of the Prometheus that stores sessions' metrics over time, e.g. http://prometheus:9090. Default: none. */
  PROMETHEUS_URL: address.optional(),
  /** How many seconds a session may take from `starting` to `running`; after that the session fails. Default 300. */
  START_TIMEOUT_SECONDS: atLeastOne("a number of seconds", 300),
  /** How many seconds after its grace period a pod may take to end, before it is removed by force. 0: never. Default 300. */
  DEAD_NODE_SECONDS: notNegative("a number of seconds", 300),
  /** How many requests one key may make per minute. Default 600. */
  RATE_LIMIT_PER_MINUTE: atLeastOne("a number of requests", 600),
  /**
   * How many seconds after its end a session is deleted, with its events. At least 2 days. Default 7776000: 90 days. A
   * session whose workspace is kept is deleted only after its workspace.
   */
  SESSION_RETENTION_SECONDS: retention(90),
  /**
   * How many seconds the audit trail keeps progress reports, and events about what users do in a session without changing its
   * state. At least 2 days. Default 7776000: 90 days.
   */
  EVENT_RETENTION_SECONDS: retention(90),
  /** For how many seconds after their creation dead webhook deliveries are kept. At least 2 days. Default 2592000: 30 days. */
  DELIVERY_RETENTION_SECONDS: retention(30),
  /** For how many seconds a new session can be found by its Idempotency-Key. At least 1 day. Default 604800: 7 days. */
  IDEMPOTENCY_RETENTION_SECONDS: retention(7, 1),
  /** How many sessions of one tenant may wait in the queue. While this many wait, the API refuses more. Default 200. */
  BACKLOG_LIMIT: atLeastOne("a number of sessions", 200),
  /** How many sessions of all tenants may be starting at the same time, until starts succeed quickly. Default 10. */
  MAX_STARTING: atLeastOne("a number of sessions", 10),
  /** The highest number, per node with the agent image, to which MAX_STARTING may rise. 0: it never rises. Default 3. */
  MAX_STARTING_PER_NODE: notNegative("a number of sessions", 3),
  /** Namespace of the Lease by which the workers choose their leader. Default berth. */
  LEASE_NAMESPACE: text.default("berth"),
  /** Issuer whose tokens the API accepts in addition to keys, e.g. https://login.example. Default: none. */
  OIDC_ISSUER: address.optional(),
  /** Audience that the issuer's tokens must name. Required with OIDC_ISSUER. */
  OIDC_AUDIENCE: text.optional(),
  /** Claim of the issuer's tokens that names the tenant. Default tenant. */
  OIDC_TENANT_CLAIM: text.default("tenant"),
  /** Networks (CIDR, comma separated) of the proxies whose header X-Forwarded-For is trusted. Default: none. */
  TRUSTED_PROXIES: z
    .string()
    .default("")
    .transform((list) => list.split(",").flatMap((one) => one.trim() || []))
    .pipe(z.array(z.union([z.cidrv4(), z.cidrv6()], "must be networks in CIDR notation"))),
  /** Whether webhooks may call private addresses and use plain http. Default false. */
  WEBHOOK_ALLOW_PRIVATE: flag,
});

const WithOidc = Variables.refine(
  (variables) => variables.OIDC_ISSUER === undefined || variables.OIDC_AUDIENCE !== undefined,
  {
    path: ["OIDC_AUDIENCE"],
    error: "must be set if OIDC_ISSUER is set",
    when: () => true,
  },
).refine(
  ({ SANDBOX_URL, PUBLIC_URL }) =>
    SANDBOX_URL === undefined ||
    PUBLIC_URL === undefined ||
    faultOfSandboxUrl(SANDBOX_URL) !== undefined ||
    !new SandboxUrl(SANDBOX_URL).isTooNear(PUBLIC_URL),
  {
    path: ["SANDBOX_URL"],
    error:
      "must have another origin than PUBLIC_URL and, with a *, another domain, because sessions' pages must not share the API's origin or cookies",
    when: () => true,
  },
);

export type DatabaseConfig = z.infer<typeof DatabaseVariables> & { postgresPassword: string };
export type StoresConfig = z.infer<typeof StoresVariables> & { postgresPassword: string; redisPassword: string };
export type Config = z.infer<typeof Variables> & StoresConfig & { tokenKeys: TokenKeys };

/** All errors in the configuration, one line per error. */
export class ConfigError extends Error {
  override name = "ConfigError";
  readonly faults: string[];
  constructor(faults: string[]) {
    super(faults.join("\n"));
    this.faults = faults;
  }
}

type Environment = Record<string, string | undefined>;

/** The configuration of the roles `api`, `gateway` and `worker`. Throws one ConfigError that lists all faults. */
export function loadConfig(environment: Environment): Config {
  const signs = Number(environment.TOKEN_KEY_ID ?? firstKeyId) || firstKeyId;
  const keyFiles = new Set([keyFile(signs), ...keyFilesIn(environment.SECRETS_DIR ?? secretsFolder)]);
  const [variables, secrets] = load(WithOidc, environment, ["postgres-password", "redis-password", ...keyFiles]);
  const keys = [...keyFiles].map((name): [number, string] => [idOfKey(name), secrets[name] ?? ""]);
  return { ...variables, ...passwords(secrets), tokenKeys: new TokenKeys(new Map(keys), variables.TOKEN_KEY_ID) };
}

/** The name of a token key's file: `token-key` for the first key, `token-key-2` for the second, and so on. */
const keyFile = (id: number) => (id === firstKeyId ? "token-key" : `token-key-${id}`);
const idOfKey = (file: string) => Number(/^token-key-(\d+)$/.exec(file)?.[1] ?? firstKeyId);

/**
 * The key files in the folder. Returns none if the folder can't be read; then `load` reports that the signing key is
 * missing.
 */
function keyFilesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^token-key(-([2-9]|[1-9]\d{1,3}))?$/.test(name));
  } catch {
    return [];
  }
}

/** The images of sessions' pods. */
export const podImages = (
  config: Pick<Config, "AGENT_IMAGE" | "AGENT_IMAGE_HAS_BERTHD" | "BERTHD_IMAGE" | "BERTHD_VOLUME">,
): PodImages => ({
  agent: config.AGENT_IMAGE,
  agentHasBerthd: config.AGENT_IMAGE_HAS_BERTHD,
  berthd: config.BERTHD_IMAGE,
  berthdVolume: config.BERTHD_VOLUME,
});

/** The part of the configuration that the role `cleanup` needs. Throws one ConfigError that lists all faults. */
export function loadStoresConfig(environment: Environment): StoresConfig {
  const [variables, secrets] = load(StoresVariables, environment, ["postgres-password", "redis-password"]);
  return { ...variables, ...passwords(secrets) };
}

/** The part of the configuration that the role `migrate` needs. Throws one ConfigError that lists all faults. */
export function loadDatabaseConfig(environment: Environment): DatabaseConfig {
  const [variables, secrets] = load(DatabaseVariables, environment, ["postgres-password"]);
  return { ...variables, postgresPassword: secrets["postgres-password"] };
}

const passwords = (secrets: Record<string, string>) => ({
  postgresPassword: secrets["postgres-password"] ?? "",
  redisPassword: secrets["redis-password"] ?? "",
});

/** How many characters a secret must have at least. */
const leastOf = (name: string) => (name.startsWith("token-key") ? 32 : 1);

/** The folder of the secrets if SECRETS_DIR is not set. */
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
