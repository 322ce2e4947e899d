import { execa } from "execa";
import { expect, test } from "vitest";
import { root } from "../machine/machine.ts";
import { withFormerNames } from "./former-names.ts";

const urn = (type: string, name: string) => `urn:pulumi:dev::berth::berth:index:${type}::${name}`;
const resource = (urn: string, more: object = {}) => ({
  urn,
  type: urn.split("::")[2]?.split("$").at(-1) ?? "",
  ...more,
});

const api = urn("Api", "api");
const [gateway, gatewayBefore] = ["api-gateway", "gateway"].map((name) => urn("Api$kubernetes:core/v1:Service", name));
const [key, keyBefore] = ["tenant-acme-key.old-key-1", "acme-key-old-key-1"].map((name) =>
  urn("Tenant$random:index/randomPassword:RandomPassword", name),
);
const deployment = urn("Api$kubernetes:apps/v1:Deployment", "api");
const provider = "urn:pulumi:dev::berth::pulumi:providers:kubernetes::kubernetes::1f2e";

const stack = (...resources: object[]) => ({ version: 3, deployment: { resources: resources as never } });
const now = stack(
  resource(api),
  resource(gateway ?? "", { parent: api, provider, outputs: { name: "gateway" } }),
  resource(key ?? ""),
  resource(deployment, { dependencies: [gateway, key], propertyDependencies: { spec: [key] }, deletedWith: gateway }),
);
const before = stack(
  resource(api),
  resource(gatewayBefore ?? "", { parent: api, provider, outputs: { name: "gateway" } }),
  resource(keyBefore ?? ""),
  resource(deployment, {
    dependencies: [gatewayBefore, keyBefore],
    propertyDependencies: { spec: [keyBefore] },
    deletedWith: gatewayBefore,
  }),
);

test("resources get their former names, wherever they are named, and nothing else changes", () => {
  expect(withFormerNames(now)).toEqual(before);
});

test("what has its former name keeps it, and a stack without resources stays as it is", () => {
  expect(withFormerNames(before)).toEqual(before);
  expect(withFormerNames({ version: 3, deployment: {} })).toEqual({ version: 3, deployment: {} });
});

test("a stack that has both names is refused, because one of the two would be lost", () => {
  const both = stack(resource(gateway ?? ""), resource(gatewayBefore ?? ""));
  expect(() => withFormerNames(both)).toThrow(`has both ${gateway} and ${gatewayBefore}`);
});

test("the command reads and prints a state, and prints nothing where there is none to read", async () => {
  const run = (input: string) =>
    execa("node", ["tools/former-names.ts"], { cwd: root, input, preferLocal: true, localDir: root, reject: false });
  expect(JSON.parse((await run(JSON.stringify(now))).stdout)).toEqual(before);
  const { exitCode, stdout, stderr } = await run("");
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  expect(stderr).toMatch(/^berth: /);
});
