import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { unknown } from "../protocol/values.ts";
import { Api, loadConfig } from "./api.ts";
import { kindOf } from "./kinds.ts";
import { clusterResource } from "./resource.ts";

const kind = kindOf("kubernetes:core/v1:ConfigMap") as never;
const inputs = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "n" }, data: { key: "value" } };
const live = { ...inputs, metadata: { ...inputs.metadata, uid: "1" } };
const change = { inputs, preview: true, timeoutSeconds: 0, signal: new AbortController().signal };

/** An API server that has the object `found`, of whose fields an apply without force would conflict with these managers. */
async function cluster(found: object | undefined, managers: string[] = []): Promise<Api> {
  const server = createServer(({ method, url = "" }, response) => {
    const conflicts = method === "PATCH" && !url.includes("force=true") ? managers : [];
    const causes = conflicts.map((manager) => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${manager}`,
    }));
    const [code, body] =
      causes.length > 0
        ? [409, { message: `Apply failed: conflicts with ${conflicts}`, details: { causes } }]
        : method === "GET" && !found
          ? [404, {}]
          : [200, found ?? inputs];
    response.writeHead(code).end(JSON.stringify(body));
  });
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const named = (value: object) => [{ name: "one", ...value }];
  const kubeconfig = {
    clusters: named({ cluster: { server: `http://127.0.0.1:${port}`, "insecure-skip-tls-verify": true } }),
    users: named({ user: {} }),
    contexts: named({ context: { cluster: "one", user: "one" } }),
    "current-context": "one",
  };
  return new Api(loadConfig(JSON.stringify(kubeconfig)));
}

const [somebody, kubectl, official] = [
  '"somebody" using v1',
  '"kubectl-edit" using v1 at 2026-01-02T03:04:05Z',
  '"pulumi-kubernetes-1a2b3c4d"',
];

test.each([
  { what: "conflicts with somebody else's fields", managers: [somebody], force: false, conflicts: true },
  { what: "takes fields over that Pulumi or kubectl wrote", managers: [kubectl, official], force: false },
  { what: "conflicts with somebody, and takes other fields over", managers: [kubectl, somebody], conflicts: true },
  {
    what: "conflicts with a subresource's fields",
    managers: ['"kubectl" with subresource "scale" using v1'],
    conflicts: true,
  },
  { what: "is told to take all fields", managers: [somebody], force: true },
])("a preview says what the run would do: it $what", async ({ managers, force = false, conflicts = false }) => {
  const resource = clusterResource(kind, await cluster(live, managers), { upsert: true, force, inState: new Set() });
  const update = { ...change, id: "n/a", state: inputs };
  for (const preview of [() => resource.create(change), () => resource.update(update)])
    if (conflicts) await expect(preview()).rejects.toThrow(/Apply failed: conflicts with/);
    else await preview();
});

const strict = { upsert: false, force: false };

test("a preview refuses an object that is in the cluster already, as the run does", async () => {
  const resource = clusterResource(kind, await cluster(live), { ...strict, inState: new Set() });
  const half = { ...change, inputs: { ...inputs, data: { key: unknown } } };
  for (const each of [change, half, { ...change, preview: false }])
    await expect(resource.create(each)).rejects.toThrow(/^ConfigMap n\/a is in the cluster already/);
});

test("a preview creates an object that is not in the cluster", async () => {
  const resource = clusterResource(kind, await cluster(undefined), { ...strict, inState: new Set() });
  await expect(resource.create(change)).resolves.toMatchObject({ id: "" });
});

test("a preview creates an object in place of one of the state, which the run deletes first", async () => {
  const resource = clusterResource(kind, await cluster(live, [somebody]), { ...strict, inState: new Set() });
  await resource.diff({ id: "n/a", state: live, inputs });
  await expect(resource.create(change)).resolves.toMatchObject({ id: "" });
});
