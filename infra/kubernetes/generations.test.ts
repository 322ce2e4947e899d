import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { RecordedResource } from "../testing/record.ts";
import type { Generation } from "./cluster.ts";
import { nameWithoutContent } from "./content-name.ts";
import { collectable } from "./generations.ts";

const now = new Date("2026-11-28T12:00:00Z");

const generation = (name: string, hours: number, kind: Generation["kind"] = "ConfigMap"): Generation => ({
  kind,
  name,
  uid: name,
  createdAt: new Date(now.getTime() - hours * 3_600_000),
});

/** The current generation is the newest of its family. */
const [first, second, third, newest] = [
  generation("api-config-aaaaaaaaaa", 72),
  generation("api-config-bbbbbbbbbb", 48),
  generation("api-config-cccccccccc", 24),
  generation("api-config-dddddddddd", 2),
];
const current = new Set([newest.name]);

const gone = (generations: Generation[], users: object[] = [], names = current) =>
  collectable({ generations, users }, names, now).map(({ name }) => name);

const podSpec = (name: string) => ({ containers: [{ name: "api", envFrom: [{ configMapRef: { name } }] }] });
const template = (name: string) => ({ metadata: { name: "x" }, spec: { template: { spec: podSpec(name) } } });

describe("garbage collection of generations", () => {
  test("keeps the current and the previous generation, and deletes older ones", () => {
    expect(gone([third, newest, first, second])).toEqual([first.name, second.name]);
  });

  test("keeps the newest other generation if the current one is older, because its content has returned", () => {
    expect(gone([first, second, third], [], new Set([first.name]))).toEqual([second.name]);
  });

  test("deletes all generations of a component that no longer exists", () => {
    expect(gone([generation("grafana-config-aaaaaaaaaa", 2), newest])).toEqual(["grafana-config-aaaaaaaaaa"]);
  });

  test("treats a ConfigMap and a Secret as different families", () => {
    const secret = generation("api-config-eeeeeeeeee", 3, "Secret");
    expect(gone([third, newest, secret])).toEqual([secret.name]);
  });

  test("keeps generations younger than an hour, because an object may soon refer to them", () => {
    const young = generation("grafana-config-aaaaaaaaaa", 0.9);
    expect(gone([young])).toEqual([]);
    expect(gone([{ ...young, createdAt: new Date(now.getTime() - 3_600_000) }])).toEqual([young.name]);
  });

  test.each([
    ["a pod", { spec: podSpec(first.name) }],
    ["a Deployment or ReplicaSet", template(first.name)],
    ["a ControllerRevision", { data: template(first.name) }],
    ["a CronJob", { spec: { jobTemplate: template(first.name) } }],
    ["a volume", { spec: { volumes: [{ name: "x", configMap: { name: first.name } }] } }],
    [
      "a projected volume",
      { spec: { volumes: [{ projected: { sources: [{ secret: { name: "other" } }, { configMap: first }] } }] } },
    ],
    ["a Secret's volume", { spec: { volumes: [{ secret: { secretName: first.name } }] } }],
    ["a variable", { spec: { initContainers: [{ env: [{ valueFrom: { secretKeyRef: { name: first.name } } }] }] } }],
    ["a pull secret", { spec: { imagePullSecrets: [{ name: first.name }] } }],
  ])("keeps a generation to which %s refers", (_, user) => {
    expect(gone([first, second, third, newest], [user])).toEqual([second.name]);
  });

  test("does not treat a longer name as a reference to the shorter name in it", () => {
    expect(gone([first, third, newest], [template(`old-${first.name}`), template(`${first.name}0`)])).toEqual([
      first.name,
    ]);
  });
});

test.each([
  ["api-config-3f9a1c02d4", "api-config"],
  ["tenants", undefined],
  ["prometheus-adapter-tls", undefined],
  ["api-config-3f9a1c02d", undefined],
])("%s without its hash is %s", (name, family) => expect(nameWithoutContent(name)).toBe(family));

describe.each(["dev", "prod"])("of the stack %s", (stack) => {
  const golden = new URL(`../testdata/${stack}.golden.json`, import.meta.url);
  const resources: RecordedResource[] = JSON.parse(readFileSync(golden, "utf8"));
  const data = resources.flatMap(({ type, retain, inputs }) => {
    const { metadata, immutable } = inputs as { metadata?: { name: string }; immutable?: boolean };
    const isData = ["kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:Secret"].includes(type);
    return isData ? [{ name: metadata?.name ?? "", immutable: immutable === true, retain: retain === true }] : [];
  });

  test("exactly the ConfigMaps and Secrets with a hash in their name are immutable and are retained on deletion", () => {
    const named = data.filter(({ name }) => nameWithoutContent(name) !== undefined);
    expect(named.length).toBeGreaterThan(5);
    expect(data.filter(({ immutable }) => immutable)).toEqual(named);
    expect(data.filter(({ retain }) => retain)).toEqual(named);
  });
});
