/** A tenant from its first entry to nothing, on the deployed stack: what each `pulumi up` does, and what it leaves alone. */
import { createHash } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { probePod } from "../infra/testing/probe-pod.ts";
import { kubectl } from "../local/cluster/index.ts";
import { stackOutputs } from "../local/pulumi/stack.ts";
import { call, keyOf, noVolumeLeft } from "./berth.ts";
import { copyOfCheckout } from "./checkout.ts";
import { type TenantEntry, up } from "./pulumi.ts";

const name = "initech";
const namespace = `tenant-${name}`;
/** With a key that lies in a Secret beside the generated one. */
const entry = { name, workspace: { size: "1Gi" }, keys: [{ name: "default" }, { name: "own", secret: "initech-key" }] };
const ownKey = `berth_${name}_0123456789abcdef`;
let before: string[] = [];
/** Each change of the file gets a number of its own. */
const newGeneration = ["create-replacement", "delete-replaced", "replace"].map(
  (op) => `${op} Secret tenants-generation`,
);

/** Runs `up` with an entry of that tenant, or without one. */
const upWith = (tenant: TenantEntry | undefined, options: Parameters<typeof up>[0] = {}) =>
  up({ ...options, change: (file) => void (tenant && file.config["berth:tenants"].push(tenant)) });

beforeAll(async () => {
  await kubectl(["create", "secret", "generic", "initech-key", "-n", "berth", `--from-literal=key=${ownKey}`]);
});

afterAll(async () => {
  // Where a test has failed half-way.
  if (await kubectl(["get", "namespace", namespace, "--ignore-not-found"])) {
    await upWith({ ...entry, remove: true });
    await upWith(undefined);
  }
  await kubectl(["delete", "secret", "initech-key", "-n", "berth"]);
}, 240_000);

test("a new entry makes that tenant's resources and touches nothing else but the runtime's file of tenants", async () => {
  const { failed, operations, output } = await upWith(entry);
  expect(failed, output).toBe(false);
  expect(operations).toEqual(expect.arrayContaining([`create Namespace ${namespace}`, "update Secret tenants"]));
  // So what has not changed in the config stays as it is.
  const others = operations.filter((one) => !new RegExp(`^create \\w+ (${namespace}|${name}-key-default)`).test(one));
  expect(others).toEqual([...newGeneration, "update Secret tenants"]);
  expect(await tenantsFile()).toContain(createHash("sha256").update(ownKey).digest("hex"));
});

test("an image that doesn't start fails within its time-out, naming pod and reason", async () => {
  before = await namedByContent();
  const checkout = await brokenCheckout();
  const broken = await up({
    checkout,
    change: (file) => {
      file.config["berth:tenants"].push(entry);
      file.config["berth:rolloutTimeout"] = "30s";
    },
  });
  await rm(checkout, { recursive: true });
  expect(broken.failed).toBe(true);
  expect(broken.output).toMatch(/berth\/migrate-\w+/);
  expect(broken.output).toContain("/there-is-no-such-program");
  expect((await call(keyOf("acme"), "GET", "/v1/sessions")).status).toBe(200);
});

test("the next `up` repairs it; another quota is that quota's update and one of the runtime's file of tenants", async () => {
  const { failed, operations, output } = await upWith({ ...entry, quota: { pods: 7 } });
  expect(failed, output).toBe(false);
  const repair = /^[\w-]+ (Image api-image|Job migrate)/;
  expect(operations.filter((one) => repair.test(one))).not.toEqual([]);
  expect(operations.filter((one) => !repair.test(one))).toEqual([
    ...newGeneration,
    `update ResourceQuota ${namespace}-quota`,
    "update Secret tenants",
  ]);
  expect(await namedByContent()).toEqual(before);
  expect(await field("resourcequota/sessions", "{.spec.hard.pods}")).toBe("7");
});

test("`up --refresh` puts right what was changed by hand", async () => {
  await kubectl(["delete", "networkpolicy", "deny-all", "-n", namespace]);
  const hard = JSON.stringify({ spec: { hard: { "limits.cpu": "1000" } } });
  await kubectl(["patch", "resourcequota", "sessions", "-n", namespace, "-p", hard]);
  const { failed, operations, output } = await upWith({ ...entry, quota: { pods: 7 } }, { flags: ["--refresh"] });
  expect(failed, output).toBe(false);
  expect(operations).toEqual([`create NetworkPolicy ${namespace}-deny-all`, `update ResourceQuota ${namespace}-quota`]);
  expect(await field("resourcequota/sessions", "{.spec.hard.limits\\.cpu}")).toBe("40");
  expect(await field("networkpolicy/deny-all", "{.spec.policyTypes}")).toBe('["Ingress","Egress"]');
});

test("an entry that just vanishes is refused, before anything is touched, with what to do", async () => {
  const { failed, operations, output } = await upWith(undefined);
  expect(failed).toBe(true);
  expect(operations).toEqual([]);
  expect(output).toContain(`the tenant ${name} has no entry under \`tenants\` any more; nothing was changed`);
  expect(output).toContain("put the entry back with `remove: true`");
});

test("marked, the runtime's file has it as closed, without its keys, and all else is still there", async () => {
  await kubectl(["apply", "--server-side", "-f", "-"], JSON.stringify(await session()));
  await kubectl(["wait", "--for=condition=Ready", "--timeout=60s", "-n", namespace, "pod/left-behind"]);
  const { failed, operations, output } = await upWith({ ...entry, quota: { pods: 7 }, remove: true });
  expect(failed, output).toBe(false);
  // The namespace loses its protection, in the stack's state only.
  expect(operations).toEqual([...newGeneration, `update Namespace ${namespace}`, "update Secret tenants"]);
  const { closed, tenants } = JSON.parse(await tenantsFile());
  expect(closed).toEqual([name]);
  expect(JSON.stringify(tenants)).not.toContain(name);
});

test("taken out, it leaves nothing: no object, no volume, nothing in the stack's state", async () => {
  const { failed, operations, output } = await upWith(undefined);
  expect(failed, output).toBe(false);
  const others = operations.filter((one) => !new RegExp(`^delete \\w+ (${namespace}|${name}-key-default)`).test(one));
  // The file of tenants need not say any more that this one is closed.
  expect(others).toEqual([...newGeneration, "update Secret tenants"]);
  expect(await kubectl(["get", "namespace", namespace, "--ignore-not-found"])).toBe("");
  await noVolumeLeft(namespace);
});

/** A copy of this checkout whose API image starts a program that isn't in it. */
async function brokenCheckout(): Promise<string> {
  const folder = await copyOfCheckout();
  await writeFile(
    join(folder, "images/api/Dockerfile"),
    'ARG NODE_RUNTIME_IMAGE\nFROM $NODE_RUNTIME_IMAGE\nENTRYPOINT ["/there-is-no-such-program"]\n',
  );
  return folder;
}

const field = (object: string, path: string) => kubectl(["get", object, "-n", namespace, "-o", `jsonpath=${path}`]);

/** What of the platform has another name when its content changes; the Job's is the image's, which may be built anew. */
const namedByContent = async () =>
  (await kubectl(["get", "configmaps,secrets,jobs", "-n", "berth", "-o", "name"]))
    .split("\n")
    .filter((name) => /-[0-9a-f]{10}$/.test(name))
    .map((name) => name.replace(/(?<=^job.*-)[0-9a-f]{10}$/, "…"));

const tenantsFile = async () =>
  Buffer.from(
    await kubectl(["get", "secret", "tenants", "-n", "berth", "-o", "jsonpath={.data.tenants\\.json}"]),
    "base64",
  ).toString();

/** A pod and a volume such as a session that nobody ended would leave. */
async function session() {
  const { apiImage } = await stackOutputs("dev");
  const place = { namespace, pod: "left-behind" };
  const claim = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: place.pod, namespace },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  };
  return { apiVersion: "v1", kind: "List", items: [claim, probePod(place, apiImage, place.pod)] };
}
