import { expect, test } from "vitest";
import { dockerConfig, loginFor, pullSecretNames } from "./registry-login.ts";

const ghcr = { server: "ghcr.io", username: "ci", password: "p:w" };
const local = { server: "127.0.0.1:5001", username: "me", password: "x" };

test("the Secret is Docker's config file with every login", () => {
  expect(JSON.parse(dockerConfig([ghcr, local]))).toEqual({
    auths: {
      "ghcr.io": { username: "ci", password: "p:w", auth: Buffer.from("ci:p:w").toString("base64") },
      "127.0.0.1:5001": { username: "me", password: "x", auth: Buffer.from("me:x").toString("base64") },
    },
  });
});

test.each([
  ["ghcr.io/acme/berth", ghcr],
  ["ghcr.io", ghcr],
  ["127.0.0.1:5001/berth", local],
  ["127.0.0.1:5000/berth", undefined],
  ["ghcr.io.example.com/berth", undefined],
])("the login for %s is found by the registry's host", (registry, login) => {
  expect(loginFor([ghcr, local], registry)).toBe(login);
});

test("pods pull with the Secret made from the logins and with those of one's own", () => {
  expect(pullSecretNames({ registryLogins: [], imagePullSecrets: [] })).toEqual([]);
  expect(pullSecretNames({ registryLogins: [ghcr], imagePullSecrets: [] })).toEqual(["registry-login"]);
  expect(pullSecretNames({ registryLogins: [ghcr], imagePullSecrets: ["mine"] })).toEqual(["registry-login", "mine"]);
});
