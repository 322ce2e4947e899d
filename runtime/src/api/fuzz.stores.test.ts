/**
 * Thousands of requests that are generated from the API's description, over HTTP to the real program with Postgres
 * and Redis. The answer to a request has a status that the description contains or that `check` lists. No answer is a 5xx
 * or contains a stack trace, and a 400 names the field.
 */
import { Agent, request as httpRequest } from "node:http";
import fc from "@berth/testing/fast-check.ts";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { fakeCluster, listen, openApi, openGateway } from "../testing/api.ts";
import { buildBerthd, runsHere, startBerthd } from "../testing/berthd.ts";
import { adminKey, keyOf, sha256, tenant } from "../testing/fixtures.ts";
import { freePorts } from "../testing/ports.ts";
import { controllers } from "./controllers.ts";
import { openApiDocument } from "./openApi.ts";

interface Schema {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  $ref?: string;
}
interface Operation {
  name: string;
  method: string;
  path: string;
  parameters: { in: "path" | "query" | "header"; name: string; required?: boolean; schema: Schema }[];
  body: Schema | undefined;
  answers: Record<string, { content?: Record<string, { schema: Schema }> }>;
  admin: boolean;
}

const document = JSON.parse(JSON.stringify(openApiDocument(controllers)));
const ajv = new Ajv2020({ strict: false, validateFormats: false, unicodeRegExp: false });
ajv.addSchema(document, "api");
const resolve = (schema: Schema): Schema =>
  schema.$ref === undefined ? schema : document.components.schemas[schema.$ref.split("/").at(-1) ?? ""];
const validators = new Map<string, ValidateFunction>();
function validatorOf(schema: Schema): ValidateFunction {
  const text = JSON.stringify(schema).replaceAll('"#/', '"api#/');
  const validate = validators.get(text) ?? ajv.compile(JSON.parse(text));
  validators.set(text, validate);
  return validate;
}
const isValid = (schema: Schema, value: unknown): boolean => validatorOf(schema)(value);

interface Described {
  operationId: string;
  description?: string;
  parameters?: Operation["parameters"];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Operation["answers"];
}

const operations = Object.entries<Record<string, Described>>(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]): Operation => {
    const { operationId, description, parameters = [], requestBody, responses } = operation;
    const body = requestBody?.content["application/json"];
    return {
      name: operationId,
      method: method.toUpperCase(),
      path,
      parameters,
      body: body && resolve(body.schema),
      answers: responses,
      admin: String(description) === "Needs the admin's key.",
    };
  }),
);

interface Answer {
  status: number;
  type: string;
  text: string;
}
interface Sent {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string | Buffer | undefined;
}

let send: (request: Sent) => Promise<Answer>;
let ids: string[];
let count = 0;

beforeAll(async () => {
  // In the shell that starts the tests, KUBECONFIG may name a real cluster. The requests of this test must not reach it.
  vi.stubEnv("KUBECONFIG", undefined);
  await buildBerthd();
});

/** Opens the API with sessions in several states. The tenant acme has a key with all scopes, a read-only and an expired one. */
async function open(): Promise<void> {
  await fakeCluster();
  const key = { name: "k", sha256: "", scopes: ["read", "write", "desktop"] as const };
  const [podPort = 0] = await freePorts(1);
  const settings = { RATE_LIMIT_PER_MINUTE: 1_000_000, BACKLOG_LIMIT: 1_000_000 };
  const tenants = [
    tenant("acme", {
      exec: true,
      maxLifetimeSeconds: 3_600,
      keys: [
        { ...key, scopes: [...key.scopes], sha256: sha256(keyOf("acme")) },
        { ...key, scopes: ["read"], sha256: sha256(`${keyOf("acme")}r`) },
        { ...key, scopes: [...key.scopes], sha256: sha256(`${keyOf("acme")}x`), expiresAt: "2020-01-01T00:00:00Z" },
      ],
    }),
    tenant("beta"),
  ];
  // The requests go through a separate gateway, so that this test covers the forwarding too.
  const api = await openApi({ ...settings, GATEWAY_URL: "http://127.0.0.1:1" }, tenants, { podPort });
  const origin = new URL((await openGateway(api, await listen(api), { podPort })).origin);
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  onTestFinished(() => agent.destroy());
  send = (request) => exchange(origin, agent, request);
  ids = [];
  for (const state of ["queued", "running", "suspended", "stopped"] as const) {
    const made = await api.store.creation.create(
      { tenant: "acme", namespace: "tenant-acme", tier: "small" },
      { name: "test" },
    );
    if (typeof made === "string") throw new Error(made);
    await api.database.updateTable("sessions").set({ state }).where("id", "=", made.session.id).execute();
    ids.push(made.session.id);
    if (state !== "running") continue;
    await startBerthd(made.session.id, podPort);
    await runsHere(api, made.session.id);
  }
}

function exchange(origin: URL, agent: Agent, { method, path, headers, body }: Sent): Promise<Answer> {
  count += 1;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const options = {
      host: origin.hostname,
      port: origin.port,
      method,
      path,
      headers: { ...headers, ...length },
      agent,
    };
    const request = httpRequest(options, (response) => {
      const type = response.headers["content-type"] ?? "";
      const answer = { status: response.statusCode ?? 0, type };
      if (type.startsWith("text/event-stream")) {
        response.destroy(); // this answer never ends
        return resolve({ ...answer, text: "" });
      }
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ ...answer, text }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** The rules for every answer. The layers that run before the operation may answer with any of the statuses below. */
function check({ answers, name }: Operation, sent: Sent, { status, type, text }: Answer): void {
  const what = `${name}: ${sent.method} ${sent.path} ${sent.body?.toString().slice(0, 200)} → ${status} ${text.slice(0, 300)}`;
  expect(status, what).toBeLessThan(500);
  expect(text, what).not.toMatch(/\\n\s+at |\.[jt]s:\d+:\d+|node_modules/);
  const known = answers[status];
  if (![400, 404, 413, 414, 415, 431].includes(status)) expect(known, what).toBeDefined();
  if (status >= 400) {
    expect(type, what).toContain("application/problem+json");
    const problem = JSON.parse(text);
    expect(isValid({ $ref: "#/components/schemas/Problem" }, problem), what).toBe(true);
    expect(problem.status, what).toBe(status);
    if (status === 400) {
      expect(problem.errors?.length, what).toBeGreaterThan(0);
      for (const { field, rule } of problem.errors) expect(field && rule, what).toBeTruthy();
    }
  } else if (type.startsWith("application/json")) {
    const schema = known?.content?.["application/json"]?.schema;
    expect(
      schema && isValid(schema, JSON.parse(text)),
      `${what} ${ajv.errorsText(validatorOf(schema ?? {}).errors)}`,
    ).toBe(true);
  }
}

const keyFor = ({ admin }: Operation) => (admin ? adminKey : keyOf("acme"));
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ maxLength: 300 }),
  fc.constantFrom(
    "",
    "0",
    "-1",
    "1e9",
    "null",
    "true",
    "\0",
    "'; drop table sessions; --",
    "../../etc/passwd",
    "%00",
    "__proto__",
  ),
  fc.constantFrom("9".repeat(400), "x".repeat(5_000), "\ud83d\ude00".repeat(40)),
);
const value: fc.Arbitrary<unknown> = fc.oneof(
  text,
  fc.constantFrom("\ud800", "a\0b"),
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(null, -1, 0, 1.5, 1e308, 2 ** 53, [], {}, [[]], true, { __proto__x: 1 }, [
    "x".repeat(10_000),
  ]),
  fc.dictionary(fc.string({ unit: "binary", maxLength: 8 }), fc.string({ unit: "binary", maxLength: 8 })),
);
const headerText = fc
  .string({ unit: "binary", maxLength: 60 })
  .map((given) => given.replace(/[^\x20-\x7e\x80-\xff]/g, "~"));

/** Whether the parameter's schema accepts the text. */
function takes(schema: Schema, given: string): boolean {
  if (schema.type === "integer") return /^\d{1,9}$/.test(given) && isValid(schema, Number(given));
  return isValid(schema, schema.type === "array" ? [given] : given);
}
const isFree = (schema: Schema) =>
  schema.type === "string" && Object.keys(schema).every((key) => key === "type" || key === "description");

/** A path with valid parameters, and only the required query parameters. */
function goodPath(
  { path, parameters }: Operation,
  changes: { path?: Record<string, string>; query?: [string, string][] } = {},
): string {
  const [id = ""] = ids;
  const known = { id, process: "1", port: "8000", tenant: "acme", ticket: id, link: id, connection: id };
  const values: Record<string, string> = { ...known, ...changes.path };
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
  const needed = parameters
    .filter((one) => one.in === "query" && one.required)
    .map(({ name }): [string, string] => [name, "ls"]);
  const query = [
    ...needed.filter(([name]) => !changes.query?.some(([given]) => given === name)),
    ...(changes.query ?? []),
  ];
  const search = query.map((pair) => pair.map(encodeURIComponent).join("=")).join("&");
  return search === "" ? filled : `${filled}?${search}`;
}
/** Valid values for the required fields of a body. */
const goodFields: Record<string, unknown> = {
  ...{ tier: "small", seconds: 60, command: ["true"], signal: "SIGCONT", columns: 80, rows: 24 },
  ...{ path: "a", from: "a", to: "b", access: "read" },
};
const goodBody = ({ body }: Operation): Record<string, unknown> | undefined =>
  body && Object.fromEntries((body.required ?? []).map((name) => [name, goodFields[name]]));
const json = { "content-type": "application/json" };

/** Sends requests in which exactly one value is invalid. The answer has to name this value. */
async function oneFault(operation: Operation, runs: number): Promise<void> {
  const body = goodBody(operation);
  const sendWith = async (
    changes: Parameters<typeof goodPath>[1],
    headers: Record<string, string>,
    fields: object,
    name: string,
  ) => {
    const sent: Sent = {
      method: operation.method,
      path: goodPath(operation, changes),
      headers: { ...bearer(keyFor(operation)), ...(body && json), ...headers },
      body: body && JSON.stringify({ ...body, ...fields }),
    };
    const answer = await send(sent);
    check(operation, sent, answer);
    const what = `${name} in ${sent.method} ${sent.path} ${sent.body?.toString().slice(0, 200)}: ${answer.text.slice(0, 300)}`;
    expect(answer.status, what).toBe(sent.body && sent.body.length > 65_536 ? 413 : 400);
    if (answer.status !== 400) return;
    const fields_ = (JSON.parse(answer.text).errors as { field: string }[]).map(({ field }) => field);
    // Fastify refuses a body with such a key, whatever field contains it.
    const blamed = sent.body?.includes('"__proto__":') ? "body" : name;
    expect(
      fields_.some((field) => field === blamed || field.startsWith(`${blamed}.`)),
      what,
    ).toBe(true);
  };
  for (const { in: place, name, schema } of operation.parameters) {
    if (isFree(schema)) continue;
    if (place === "path") {
      const wrong = fc.string({ unit: "binary", minLength: 1, maxLength: 24 }).filter((given) => !takes(schema, given));
      await fc.assert(
        fc.asyncProperty(wrong, (given) => sendWith({ path: { [name]: encodeURIComponent(given) } }, {}, {}, name)),
        { numRuns: runs },
      );
    } else if (place === "query") {
      const wrong = text.filter((given) => !takes(schema, given));
      await fc.assert(
        fc.asyncProperty(wrong, (given) => sendWith({ query: [[name, given]] }, {}, {}, name)),
        { numRuns: runs },
      );
    } else {
      const wrong = headerText.map((given) => given.trim()).filter((given) => !takes(schema, given));
      await fc.assert(
        fc.asyncProperty(wrong, (given) => sendWith({}, { [name]: given }, {}, name)),
        { numRuns: runs },
      );
    }
  }
  for (const [name, schema] of Object.entries(operation.body?.properties ?? {})) {
    const wrong = value.filter((given) => !isValid(schema, given));
    await fc.assert(
      fc.asyncProperty(wrong, (given) => sendWith({}, {}, { [name]: given }, name)),
      { numRuns: runs },
    );
  }
  const unknown = fc.stringMatching(/^x[a-z]{9,12}$/);
  if (operation.parameters.some((one) => one.in === "query")) {
    await fc.assert(
      fc.asyncProperty(unknown, (name) => sendWith({ query: [[name, "1"]] }, {}, {}, name)),
      { numRuns: 10 },
    );
  }
  if (operation.body) {
    await fc.assert(
      fc.asyncProperty(unknown, (name) => sendWith({}, {}, { [name]: 1 }, name)),
      { numRuns: 10 },
    );
  }
}

/** Sends requests in which any number of values may be invalid. */
async function anything(operation: Operation, runs: number): Promise<void> {
  // Waiting for a running session is valid, but takes a minute.
  const waits = (name: string, given: string) => name === "wait" && given === "running";
  const key = fc.constantFrom(
    keyFor(operation),
    keyFor(operation),
    keyOf("acme"),
    `${keyOf("acme")}r`,
    `${keyOf("acme")}x`,
    adminKey,
    "berth_x_y",
    "a.b.c",
    "",
  );
  const query = fc.array(
    fc.tuple(fc.constantFrom("x", "limit", ...operation.parameters.map(({ name }) => name)), text),
    { maxLength: 4 },
  );
  const parameter = fc.oneof(
    fc.nat(3).map((index) => ids[index] ?? ""),
    fc.uuid(),
    fc.string({ unit: "binary", minLength: 1, maxLength: 120 }),
  );
  const raw = fc.oneof(
    value.map((given) => JSON.stringify(given)),
    fc
      .dictionary(
        fc.constantFrom(
          "tier",
          "seconds",
          "env",
          "labels",
          "mode",
          "__proto__",
          ...Object.keys(operation.body?.properties ?? {}),
        ),
        value,
      )
      .map((given) => JSON.stringify(given)),
    fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom(
      "{",
      "",
      "[".repeat(20_000),
      '{"tier":"small","tier":"large"}',
      `"${"x".repeat(70_000)}"`,
      '{"__proto__":{"tier":"small"}}',
      "\ufeff{}",
    ),
  );
  const type = fc.constantFrom(
    "application/json",
    "application/json",
    "application/json; charset=utf-8",
    "text/plain",
    "application/xml",
    "multipart/form-data",
    "",
    "x",
  );
  const headers = fc.dictionary(
    fc.constantFrom("accept", "last-event-id", "idempotency-key", "x-request-id", "x-forwarded-for", "if-none-match"),
    headerText.map((given) => given.trim()),
    { maxKeys: 3 },
  );
  const method = fc.constantFrom(
    operation.method,
    operation.method,
    operation.method,
    operation.method,
    "PUT",
    "PATCH",
  );
  await fc.assert(
    fc.asyncProperty(
      key,
      query,
      parameter,
      fc.constantFrom("1", "1", "2", "%00", "x"),
      fc.option(raw),
      type,
      headers,
      method,
      async (key, query, parameter, process, body, type, headers, method) => {
        const id = encodeURIComponent(parameter);
        const wanted = query.filter(([name, given]) => !waits(name, given));
        const sent: Sent = {
          method,
          path: goodPath(operation, { path: { id, tenant: id, process }, query: wanted }),
          headers: {
            ...headers,
            ...(key !== "" && bearer(key)),
            ...(body !== null && type !== "" && { "content-type": type }),
          },
          body: operation.method === "GET" ? undefined : (body ?? undefined),
        };
        const called = operations.find(({ path, method }) => path === operation.path && method === sent.method);
        check(called ?? operation, sent, await send(sent));
      },
    ),
    { numRuns: runs },
  );
}

test("at least 5,000 bad requests over every endpoint: no 5xx, no stack trace, and the field is named", {
  timeout: 900_000,
}, async () => {
  await open();
  // Each night, the proofs' workflow tries more and other values.
  const factor = process.env.PROPERTY_SEED === undefined ? 1 : 3;
  for (const operation of operations) {
    await oneFault(operation, 20 * factor);
    await anything(operation, 60 * factor);
  }
  expect(operations.length).toBeGreaterThan(18);
  expect(count).toBeGreaterThan(5_000);
});
