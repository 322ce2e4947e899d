/** Records the stack, without a cluster, with external stores and with the user's own Secrets. */
import { expect, test, vi } from "vitest";
import { type RecordedResource, recordStack } from "../testing/record.ts";

async function record(changes: Record<string, unknown>): Promise<RecordedResource[]> {
  vi.resetModules(); // the program runs on import
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
  return recordStack("prod", changes);
}

// biome-ignore lint/suspicious/noExplicitAny: inputs of any resource
const inputsOf = (resources: RecordedResource[], type: string, name: string): any =>
  resources.find((resource) => resource.type === `kubernetes:${type}` && resource.name === name)?.inputs;

const variable = (resources: RecordedResource[], name: string) =>
  inputsOf(resources, "apps/v1:Deployment", "api").spec.template.spec.containers[0].env?.find(
    (one: { name: string }) => one.name === name,
  );

const secretFiles = (resources: RecordedResource[]) =>
  inputsOf(resources, "apps/v1:Deployment", "api")
    .spec.template.spec.volumes.find((volume: { name: string }) => volume.name === "secrets")
    .projected.sources.map(
      ({ secret }: { secret: { name: string; optional?: true; items: { key: string; path: string }[] } }) => [
        secret.items[0]?.path,
        secret.name,
        ...(secret.optional ? ["optional"] : []),
      ],
    );

test("with external stores the stack makes no stores; pods read the stores' Secrets, and network policies open the stores' addresses", async () => {
  const resources = await record({
    postgres: { external: { secret: "pg-1", addresses: [{ cidr: "10.20.0.5/32", port: 6432 }] } },
    redis: { external: { secret: "redis-1", addresses: [{ cidr: "10.20.0.6/32", port: 6380 }] } },
  });
  const made = resources.filter(({ name }) => /^(postgres|redis)(?!-exporter)/.test(name));
  expect(made).toEqual([]);
  const from = (name: string, key: string) => ({ valueFrom: { secretKeyRef: { name, key } } });
  expect(variable(resources, "POSTGRES_HOST")).toMatchObject(from("pg-1", "host"));
  expect(variable(resources, "POSTGRES_USER")).toMatchObject(from("pg-1", "user"));
  expect(variable(resources, "REDIS_PORT")).toMatchObject(from("redis-1", "port"));
  expect(variable(resources, "REDIS_TLS")).toMatchObject({
    valueFrom: { secretKeyRef: { key: "tls", optional: true } },
  });
  expect(secretFiles(resources)).toEqual([
    ["postgres-password", "pg-1"],
    ["redis-password", "redis-1"],
    ["token-key", expect.stringMatching(/^api-secrets-/)],
    ["token-key-2", expect.stringMatching(/^token-key-2-/)],
  ]);
  const { egress } = inputsOf(resources, "networking.k8s.io/v1:NetworkPolicy", "platform-migrate-egress").spec;
  expect(egress).toEqual([{ to: [{ ipBlock: { cidr: "10.20.0.5/32" } }], ports: [{ protocol: "TCP", port: 6432 }] }]);
});

test("a Secret that the config names is mounted, and no Secret is generated instead", async () => {
  const resources = await record({
    postgres: { passwordSecret: "pg-password-2" },
    redis: { passwordSecret: "redis-password-2" },
    tokenKeySecret: "own-keys",
    tokenKeys: { current: 3, oldest: 2 },
  });
  expect(secretFiles(resources)).toEqual([
    ["postgres-password", "pg-password-2"],
    ["redis-password", "redis-password-2"],
    ["token-key-2", "own-keys"],
    ["token-key-3", "own-keys"],
    ["token-key-4", "own-keys", "optional"],
  ]);
  const names = resources.map(({ name }) => name);
  for (const generated of ["postgres-password", "redis-password", "settings-token-key"])
    expect(names).not.toContain(generated);
  for (const store of ["postgres", "redis"])
    expect(JSON.stringify(inputsOf(resources, "apps/v1:StatefulSet", store))).toContain(`-password-2"`);
});

test("Redis evicts nothing and gives half of its memory to data", async () => {
  const resources = await record({ redis: { resources: { limits: { memory: "1Gi" } } } });
  const settings = inputsOf(resources, "core/v1:ConfigMap", "redis-config").data["redis.conf"];
  expect(settings).toContain("maxmemory 536870912\nmaxmemory-policy noeviction\nappendonly yes\n");
});

test("no argument, variable or ConfigMap contains a password", async () => {
  const resources = await record({});
  const open = resources.filter(({ type }) => /^kubernetes:/.test(type) && !/core\/v1:Secret$/.test(type));
  expect(open.length).toBeGreaterThan(40);
  for (const { type, name, inputs } of open)
    expect(JSON.stringify(inputs), `${type} ${name}`).not.toContain("<password ");
});
