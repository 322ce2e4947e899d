import { expect, test } from "vitest";
import { dockerConfig, loginFor, pullSecretNames } from "./registry-login.ts";

const ghcr = { server: "ghcr.io", username: "ci", password: "p:w" };
const local = { server: "127.0.0.1:5001", username: "me", password: "x" };

test("the pull secret contains a Docker config file with every login", () => {
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
])("loginFor finds the login for %s by the registry's host", (registry, login) => {
  expect(loginFor([ghcr, local], registry)).toBe(login);
});

test("pods use the pull secret that Berth makes from the logins, and the user's own pull secrets", () => {
  expect(pullSecretNames({ registryLogins: [], imagePullSecrets: [] })).toEqual([]);
  expect(pullSecretNames({ registryLogins: [ghcr], imagePullSecrets: [] })).toEqual(["registry-login"]);
  expect(pullSecretNames({ registryLogins: [ghcr], imagePullSecrets: ["mine"] })).toEqual(["registry-login", "mine"]);
});
