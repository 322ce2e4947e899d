import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { digestOf, parseReference } from "./digests.ts";

test.each([
  ["debian", "registry-1.docker.io", "library/debian", "latest"],
  ["docker.io/prom/prometheus:v3", "registry-1.docker.io", "prom/prometheus", "v3"],
  ["127.0.0.1:5000/docker.io/library/node:24", "127.0.0.1:5000", "docker.io/library/node", "24"],
  ["gcr.io/a/b@sha256:0f", "gcr.io", "a/b", "sha256:0f"],
])("%s", (name, registry, repository, tag) => {
  expect(parseReference(name)).toEqual({ registry, repository, tag });
});

test("a registry that wants a token gets one for the login", async () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const server = createServer((request, response) => {
    const { authorization, host } = request.headers;
    if (request.url?.startsWith("/token")) {
      const login = Buffer.from("me:secret").toString("base64");
      response.writeHead(authorization === `Basic ${login}` ? 200 : 401).end(JSON.stringify({ token: "t" }));
    } else if (authorization === "Bearer t") response.writeHead(200, { "docker-content-digest": digest }).end();
    else {
      const realm = `Bearer realm="http://${host}/token",service="s",scope="repository:a:pull"`;
      response.writeHead(401, { "www-authenticate": realm }).end();
    }
  });
  server.on("clientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const registry = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const auth = { address: `http://${registry}`, username: "me", password: "secret" };
    expect(await digestOf(`${registry}/a:1`, [auth])).toBe(digest);
    await expect(digestOf(`${registry}/a:1`, [{ ...auth, password: "wrong" }])).rejects.toThrow("gives no token: 401");
  } finally {
    server.close();
  }
});
