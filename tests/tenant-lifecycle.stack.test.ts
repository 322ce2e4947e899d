/**
 * The life of a tenant on the deployed stack, from its first config entry to its removal: what each `pulumi up` changes, and
 * what it leaves unchanged.
 */
import { createHash } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { probePod } from "../infra/testing/probe-pod.ts";
import { kubectl } from "../local/cluster/kubectl.ts";
import { kubectlWait } from "../local/cluster/testing.ts";
import { stackOutputs } from "../local/pulumi/stack.ts";
import { call, keyOf, noVolumeLeft } from "./berth.ts";
import { copyOfCheckout } from "./checkout.ts";
import { type TenantEntry, up } from "./pulumi.ts";

const name = "initech";
const namespace = `tenant-${name}`;
/** The tenant's entry, with a second key from a Secret besides the generated key. */
const entry = { name, workspace: { size: "1Gi" }, keys: [{ name: "default" }, { name: "own", secret: "initech-key" }] };
const ownKey = `berth_${name}_0123456789abcdef`;
let before: string[] = [];
/** The operations on the tenants file's generation number, which is replaced whenever the file changes. */
const newGeneration = ["create-replacement", "delete-replaced", "replace"].map(
  (op) => `${op} Secret tenants-generation`,
);

/** Runs `up` with a config entry for that tenant, or without one. */
const upWith = (tenant: TenantEntry | undefined, options: Parameters<typeof up>[0] = {}) =>
  up({ ...options, change: (file) => void (tenant && file.config["berth:tenants"].push(tenant)) });

beforeAll(async () => {
  await kubectl(["create", "secret", "generic", "initech-key", "-n", "berth", `--from-literal=key=${ownKey}`]);
});

afterAll(async () => {
  // This repairs the stack if a test has failed before its end.
  if (await kubectl(["get", "namespace", namespace, "--ignore-not-found"])) {
    await upWith({ ...entry, remove: true });
    await upWith(undefined);
  }
  await kubectl(["delete", "secret", "initech-key", "-n", "berth"]);
});

test("a new entry creates the tenant's resources and changes only the runtime's tenants file besides", async () => {
  const { failed, operations, output } = await upWith(entry);
  expect(failed, output).toBe(false);
  expect(operations).toEqual(
    expect.arrayContaining([`create Namespace ${namespace}`, "update Secret settings-tenants"]),
  );
  // Besides the tenant's own objects, the run changes only the two Secrets of the tenants file (`settings-tenants`,
  // `tenants-generation`).
  const others = operations.filter((one) => !new RegExp(`^create \\w+ ${namespace}`).test(one));
  expect(others).toEqual([...newGeneration, "update Secret settings-tenants"]);
  expect(await tenantsFile()).toContain(createHash("sha256").update(ownKey).digest("hex"));
});

test("an image that doesn't start fails within its time-out, naming pod and reason", async () => {
  before = await namedByContent();
  const checkout = await brokenCheckout();
  const upWithin = (rolloutTimeout: string) =>
    up({
      checkout,
      change: (file) => {
        file.config["berth:tenants"].push(entry);
        file.config["berth:rolloutTimeout"] = rolloutTimeout;
      },
    });
  const reason = "/there-is-no-such-program";
  let broken = await upWithin("30s");
  // If a busy machine did not even start the container within 30 s, there is no reason to name yet.
  if (broken.failed && !broken.output.includes(reason)) broken = await upWithin("4m");
  await rm(checkout, { recursive: true });
  expect(broken.failed).toBe(true);
  expect(broken.output).toMatch(/berth\/migrate-\w+/);
  expect(broken.output).toContain(reason);
  expect((await call(keyOf("acme"), "GET", "/v1/sessions")).status).toBe(200);
});

test("the next `up` repairs the deployment, and a changed quota updates only the quota and the runtime's tenants file", async () => {
  const { failed, operations, output } = await upWith({ ...entry, quota: { pods: 7 } });
  expect(failed, output).toBe(false);
  const repair = /^[\w-]+ (Image images-api|RandomId images-api-build|Job migrate)/;
  expect(operations.filter((one) => repair.test(one))).not.toEqual([]);
  expect(operations.filter((one) => !repair.test(one))).toEqual([
    ...newGeneration,
    `update ResourceQuota ${namespace}-pod-quota`,
    `update ResourceQuota ${namespace}-quota`,
    "update Secret settings-tenants",
  ]);
  expect(await namedByContent()).toEqual(before);
  expect(await field("resourcequota/session-pods", "{.spec.hard.pods}")).toBe("7");
});

test("`up` refuses a deleted entry before it changes anything, and says what to do", async () => {
  const { failed, operations, output } = await upWith(undefined);
  expect(failed).toBe(true);
  expect(operations).toEqual([]);
  expect(output).toContain(`the tenant ${name} has no entry under \`tenants\` any more. Nothing was changed.`);
  expect(output).toContain("add the entry again with `remove: true`");
});

test("an entry with `remove: true` closes the tenant and deletes its keys from the tenants file, but deletes no other resources; `--refresh` repairs manual changes", async () => {
  await kubectl(["apply", "--server-side", "-f", "-"], JSON.stringify(await session()));
  await kubectlWait("condition=Ready", 60, "-n", namespace, "pod/left-behind");
  await kubectl(["delete", "networkpolicy", "deny-all", "-n", namespace]);
  const hard = JSON.stringify({ spec: { hard: { "limits.cpu": "1000" } } });
  await kubectl(["patch", "resourcequota", "session-pods", "-n", namespace, "-p", hard]);
  const { failed, operations, output } = await upWith(
    { ...entry, quota: { pods: 7 }, remove: true },
    { flags: ["--refresh"] },
  );
  expect(failed, output).toBe(false);
  // The namespace loses its deletion protection, which exists only in the stack's state.
  expect(operations).toEqual([
    `create NetworkPolicy ${namespace}-deny-all`,
    ...newGeneration,
    `update Namespace ${namespace}`,
    `update ResourceQuota ${namespace}-pod-quota`,
    "update Secret settings-tenants",
  ]);
  expect(await field("resourcequota/session-pods", "{.spec.hard.limits\\.cpu}")).toBe("40");
  expect(await field("networkpolicy/deny-all", "{.spec.policyTypes}")).toBe('["Ingress","Egress"]');
  const { closed, tenants } = JSON.parse(await tenantsFile());
  expect(closed).toEqual([name]);
  expect(JSON.stringify(tenants)).not.toContain(name);
});

test("after the entry is deleted, nothing is left of the tenant: no object, no volume, nothing in the stack's state", async () => {
  const { failed, operations, output } = await upWith(undefined);
  expect(failed, output).toBe(false);
  const others = operations.filter((one) => !new RegExp(`^delete \\w+ ${namespace}`).test(one));
  // The tenants file no longer needs to list this tenant as closed.
  expect(others).toEqual([...newGeneration, "update Secret settings-tenants"]);
  expect(await kubectl(["get", "namespace", namespace, "--ignore-not-found"])).toBe("");
  await noVolumeLeft(namespace);
});

/** Creates a copy of this checkout whose API image starts a program that does not exist. */
async function brokenCheckout(): Promise<string> {
  const folder = await copyOfCheckout();
  await writeFile(
    join(folder, "images/api/Dockerfile"),
    'ARG NODE_RUNTIME_IMAGE\nFROM $NODE_RUNTIME_IMAGE\nENTRYPOINT ["/there-is-no-such-program"]\n',
  );
  return folder;
}

const field = (object: string, path: string) => kubectl(["get", object, "-n", namespace, "-o", `jsonpath=${path}`]);

/**
 * The platform's objects whose names contain a hash of their content. A Job's hash comes from its image, which may be
 * rebuilt, so `…` replaces the hash in the names of Jobs.
 */
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

/** Returns the objects of a pod and a volume claim, as a session that nobody ended would leave them. */
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
