/** Who may call the API, and how often: keys with scopes and an expiry, the admin's key, an identity provider's tokens. */
import { createServer } from "node:http";
import { until } from "@berth/testing/until.ts";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { expect, onTestFinished, test } from "vitest";
import { call, openApi, originOf } from "../../testing/api.ts";
import { adminKey, keyOf, sha256, tenant } from "../../testing/fixtures.ts";

const small = { body: { tier: "small" } };
const id = "00000000-0000-4000-8000-000000000000";

test("a key allows what its scopes say, and nothing after its expiry", async () => {
  const key = (suffix: string) => `${keyOf("acme")}${suffix}`;
  const api = await openApi({}, [
    tenant("acme", {
      keys: [
        { name: "read", sha256: sha256(key("r")), scopes: ["read"] },
        { name: "write", sha256: sha256(key("w")), scopes: ["write"] },
        { name: "desktop", sha256: sha256(key("d")), scopes: ["desktop"] },
        { name: "old", sha256: sha256(key("x")), expiresAt: "2020-01-01T00:00:00Z" },
      ],
    }),
  ]);
  const tried = async (suffix: string) => [
    (await call(api, "GET", "/v1/sessions", { key: key(suffix) })).status,
    (await call(api, "POST", "/v1/sessions", { ...small, key: key(suffix) })).status,
    (await call(api, "POST", `/v1/sessions/${id}/desktop-tickets`, { key: key(suffix) })).status,
    (await call(api, "GET", "/v1/tenants", { key: key(suffix) })).status,
  ];
  expect(await tried("r")).toEqual([200, 403, 403, 403]);
  expect(await tried("w")).toEqual([403, 201, 403, 403]);
  expect(await tried("d")).toEqual([403, 403, 404, 403]);
  expect(await tried("x")).toEqual([401, 401, 401, 401]);
  expect((await call(api, "GET", "/v1/sessions", { key: key("x") })).json.detail).toMatch(/^The key old has expired/);
  expect((await call(api, "POST", "/v1/sessions", { ...small, key: key("r") })).json.detail).toBe(
    "This key lacks the scope write.",
  );
});

test("a call to the path of a WebSocket gets 426 if it is no upgrade", async () => {
  const api = await openApi();
  const status = async (path: string, key?: string) =>
    (await call(api, "GET", `/v1/sessions/${id}/${path}`, key === undefined ? {} : { key })).status;
  for (const path of ["desktop", "exec?command=ls", "processes/1/attach"]) expect(await status(path), path).toBe(426);
  for (const path of ["exec?command=ls", "processes/1/attach"]) expect(await status(path, "wrong"), path).toBe(401);
});

test("the admin sees all tenants, but none of their keys, secrets and sessions", async () => {
  const api = await openApi({}, [
    tenant("acme", { webhooks: [{ url: "https://example.com/hook?token=S3CRET", secret: "S3CRET-0123456789" }] }),
    tenant("beta"),
  ]);
  await call(api, "POST", "/v1/sessions", small);
  const { json } = await call(api, "GET", "/v1/tenants", { key: adminKey });
  expect(json.items).toMatchObject([
    { name: "acme", sessions: { queued: 1, running: 0 }, quota: { limitsCpu: "40" }, maxSessions: 50 },
    { name: "beta", sessions: { queued: 0 } },
  ]);
  expect(json.items[0].webhooks).toEqual(["https://example.com/hook"]);
  expect(JSON.stringify(json)).not.toMatch(/S3CRET|sha256|[0-9a-f]{64}/);
  expect((await call(api, "GET", "/v1/tenants/beta", { key: adminKey })).json).toEqual(json.items[1]);
  expect((await call(api, "GET", "/v1/tenants/acme")).json).toEqual(json.items[0]);
  expect((await call(api, "GET", "/v1/tenants/beta")).status).toBe(404);
  for (const [method, path] of [
    ["GET", "/v1/sessions"],
    ["POST", "/v1/sessions"],
    ["GET", `/v1/sessions/${id}`],
  ] as const) {
    expect((await call(api, method, path, { key: adminKey, ...(method === "POST" && small) })).status).toBe(403);
  }
});

test("each key has so many calls in a minute, and is told how many are left", async () => {
  const key = `${keyOf("gamma")}2`;
  const keys = [
    { name: "one", sha256: sha256(keyOf("gamma")) },
    { name: "two", sha256: sha256(key) },
  ];
  const api = await openApi({ RATE_LIMIT_PER_MINUTE: 3 }, [tenant("gamma", { keys })]);
  const one = () => call(api, "GET", "/v1/sessions", { key: keyOf("gamma") });
  const start = performance.now();
  /** The remaining seconds of the minute, which begins with the first call. The headers must not say more. */
  const left = () => 60 - Math.ceil((performance.now() - start) / 1000);
  const expectSeconds = (reported: unknown) => {
    expect(Number(reported)).toBeGreaterThanOrEqual(left());
    expect(Number(reported)).toBeLessThanOrEqual(60);
  };
  for (const calls of [2, 1, 0]) {
    const { status, headers } = await one();
    expect(status).toBe(200);
    expect(headers["ratelimit-policy"]).toBe('"key";q=3;w=60');
    const [, remaining, seconds] = /^"key";r=(\d+);t=(\d+)$/.exec(String(headers.ratelimit)) ?? [];
    expect(Number(remaining)).toBe(calls);
    expectSeconds(seconds);
  }
  for (let count = 0; count < 2; count += 1) {
    const { status, headers, json } = await one();
    expect(status).toBe(429);
    expect(headers.ratelimit).toMatch(/^"key";r=0;t=\d+$/);
    expectSeconds(headers["retry-after"]);
    expect(json).toMatchObject({ title: "Too Many Requests", detail: expect.stringContaining("3 calls in a minute") });
  }
  expect((await call(api, "GET", "/v1/sessions", { key })).status).toBe(200);
});

test("many calls at once are counted exactly, although those far from the limit don't wait to be counted", async () => {
  const api = await openApi({ RATE_LIMIT_PER_MINUTE: 120 });
  const one = () => call(api, "GET", "/v1/sessions");
  const left = async () => Number(/r=(\d+)/.exec(String((await one()).headers.ratelimit))?.[1]);
  expect([await left(), await left(), await left()]).toEqual([119, 118, 117]);
  const many = await Promise.all(Array.from({ length: 150 }, one));
  expect(many.filter(({ status }) => status === 200)).toHaveLength(117);
  expect(many.filter(({ status }) => status === 429)).toHaveLength(33);
});

test("without Redis calls are not counted, and succeed", async () => {
  const api = await openApi({ REDIS_PORT: 1, RATE_LIMIT_PER_MINUTE: 1 });
  for (let count = 0; count < 5; count += 1) {
    const { status, headers } = await call(api, "GET", "/v1/sessions");
    expect([status, headers.ratelimit]).toEqual([200, undefined]);
  }
});

/** An identity provider: its discovery document, its keys, and a function that signs tokens. */
async function provider() {
  let { publicKey, privateKey } = await generateKeyPair("RS256");
  let kid = "one";
  let isAway = false;
  const server = createServer(async (request, response) => {
    const documents: Record<string, unknown> = {
      "/.well-known/openid-configuration": { issuer: originOf(server), jwks_uri: `${originOf(server)}/keys` },
      "/keys": { keys: [{ ...(await exportJWK(publicKey)), kid, alg: "RS256", use: "sig" }] },
    };
    const found = isAway ? undefined : documents[request.url ?? ""];
    response.writeHead(found === undefined ? 500 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(found ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const sign = (
    claims: Record<string, unknown> = {},
    { alg = "RS256", key = privateKey as typeof privateKey | Uint8Array } = {},
  ) =>
    new SignJWT({
      iss: originOf(server),
      aud: "berth",
      sub: "ada",
      exp: Math.floor(Date.now() / 1000) + 600,
      org: "acme",
      scope: "openid read write",
      ...claims,
    })
      .setProtectedHeader({ alg, kid })
      .sign(key);
  return {
    issuer: originOf(server),
    sign,
    goAway: (away: boolean) => (isAway = away),
    changeKeys: async () => {
      ({ publicKey, privateKey } = await generateKeyPair("RS256"));
      kid = "two";
    },
  };
}

test("a token of the identity provider allows what its claims say", async () => {
  const { issuer, sign } = await provider();
  const api = await openApi({ OIDC_ISSUER: issuer, OIDC_AUDIENCE: "berth", OIDC_TENANT_CLAIM: "org" });
  const made = await call(api, "POST", "/v1/sessions", { ...small, key: await sign() });
  expect(made).toMatchObject({ status: 201, json: { tenant: "acme" } });
  const [created] = await api.store.trail.ofTenant({ tenant: "acme" }, "0", 1);
  expect(created?.actor).toBe("oidc:ada");

  const status = async (key: string) => (await call(api, "GET", "/v1/sessions", { key })).status;
  expect(await status(await sign({ scope: "write" }))).toBe(403);
  expect(await status(await sign({ org: "nobody" }))).toBe(403);
  const now = Math.floor(Date.now() / 1000);
  for (const wrong of [
    { aud: "another" },
    { iss: "http://127.0.0.1:1" },
    { exp: now - 60 },
    { exp: undefined },
    { nbf: now + 600 },
    { org: undefined },
    { org: ["acme"] },
    { sub: undefined },
  ]) {
    expect(await status(await sign(wrong)), JSON.stringify(wrong)).toBe(401);
  }
  const { privateKey: stranger } = await generateKeyPair("RS256");
  expect(await status(await sign({}, { key: stranger }))).toBe(401);
  expect(await status(await sign({}, { alg: "HS256", key: new TextEncoder().encode("x".repeat(32)) }))).toBe(401);
  const [head, body] = (await sign()).split(".");
  expect(await status(`${head}.${body}.`)).toBe(401);
  expect(await status(`${Buffer.from('{"alg":"none"}').toString("base64url")}.${body}.x`)).toBe(401);
  expect(await status(keyOf("acme"))).toBe(200);
});

test("while the identity provider is down, its tokens get 503, and keys work", async () => {
  const { issuer, sign, goAway } = await provider();
  const api = await openApi({ OIDC_ISSUER: issuer, OIDC_AUDIENCE: "berth", OIDC_TENANT_CLAIM: "org" });
  goAway(true);
  expect(await call(api, "GET", "/v1/sessions", { key: await sign() })).toMatchObject({ status: 503 });
  expect((await call(api, "GET", "/v1/sessions", { key: "not.a.token!" })).status).toBe(401);
  expect((await call(api, "GET", "/v1/sessions")).status).toBe(200);
  goAway(false);
  const status = async () => (await call(api, "GET", "/v1/sessions", { key: await sign() })).status;
  await until("its tokens are taken again", 50, status, (seen) => seen === 200);
});

test("the audit trail has the client's address behind a trusted proxy; other clients can't forge their address", async () => {
  const headers = { "x-forwarded-for": "203.0.113.7" };
  for (const [proxies, address] of [
    [["127.0.0.0/8"], "203.0.113.7"],
    [["10.0.0.0/8"], "127.0.0.1"],
  ] as const) {
    const api = await openApi({ TRUSTED_PROXIES: [...proxies] });
    await call(api, "POST", "/v1/sessions", { ...small, headers });
    expect((await api.store.trail.ofTenant({ tenant: "acme" }, "0", 1))[0]?.address).toBe(address);
  }
});

test("wrong keys from one address are limited, also if they differ; a valid key from there is not", async () => {
  const api = await openApi();
  const wrong = async (key: string, session?: string) =>
    (await call(api, "GET", session === undefined ? "/v1/sessions" : `/v1/sessions/${session}`, { key })).status;
  const answers = [];
  for (let tried = 0; tried < 60; tried += 1) answers.push(await wrong(`berth_acme_wrong${tried}`));
  expect(new Set(answers)).toEqual(new Set([401]));
  expect(await wrong("berth_acme_another")).toBe(429);
  expect(await wrong("not.a.ticket", id)).toBe(429);
  const refused = await call(api, "GET", "/v1/sessions", { key: "berth_beta_wrong" });
  expect(refused.json.detail).toMatch(/^More than 60 wrong keys from your address in a minute\. Wait \d+ s\.$/);
  expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
  expect((await call(api, "GET", "/v1/sessions")).status).toBe(200);
  const elsewhere = await api.app.inject({
    url: "/v1/sessions",
    headers: { authorization: "Bearer berth_acme_wrong" },
    remoteAddress: "192.0.2.1",
  });
  expect(elsewhere.statusCode).toBe(401);
});

test("without Redis wrong keys are limited too, by each process alone", async () => {
  const api = await openApi({ REDIS_PORT: 1 });
  const wrong = async (key: string) => (await call(api, "GET", "/v1/sessions", { key })).status;
  const answers = [];
  for (let tried = 0; tried < 60; tried += 1) answers.push(await wrong(`berth_acme_wrong${tried}`));
  expect(new Set(answers)).toEqual(new Set([401]));
  expect(await wrong("berth_acme_another")).toBe(429);
  expect((await call(api, "GET", "/v1/sessions")).status).toBe(200);
});
