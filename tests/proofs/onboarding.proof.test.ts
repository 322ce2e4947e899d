/**
 * A new tenant, created only by what the README says: config entry, one `pulumi up`, key and first session. Then the tenant
 * is removed again.
 */
import { until } from "@berth/testing/until.ts";
import { afterAll, expect, test } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { stackOutputs } from "../../local/pulumi/stack.ts";
import { call, noVolumeLeft, reaches, type Session } from "../berth.ts";
import { type TenantEntry, upOrThrow } from "../pulumi.ts";
import { printTable } from "./table.ts";

const name = "hooli";
const namespace = `tenant-${name}`;
const upWith = (entry?: TenantEntry) =>
  upOrThrow({ change: (file) => void (entry && file.config["berth:tenants"].push(entry)) });

let key = "";
let session: Session;

afterAll(async () => {
  // This removes the tenant if a test has failed before its end.
  if (!(await kubectl(["get", "namespace", namespace, "--ignore-not-found"]))) return;
  await upWith({ name, remove: true });
  await upWith();
});

test("a config entry and one `pulumi up` give a new tenant its key and its first session", async () => {
  const began = performance.now();
  const seconds = () => Math.round((performance.now() - began) / 1_000);
  const rows: { step: string; "after s": number }[] = [];
  const note = (step: string) => rows.push({ step, "after s": seconds() });

  await upWith({ name });
  note("pulumi up");
  key = (await stackOutputs("dev")).tenantKeys[name]?.default ?? "";
  note("pulumi stack output tenantKeys --show-secrets");
  const answer = await until(
    "the API knows the key",
    180, // the kubelet updates a changed Secret in the pods within one or two minutes
    async () => {
      const response = await call(key, "POST", "/v1/sessions", { tier: "small" });
      return { status: response.status, body: await response.json() };
    },
    ({ status }) => status !== 401,
  );
  expect(answer.status).toBe(201);
  session = answer.body as Session;
  note("POST /v1/sessions is answered");
  await reaches(key, session.id, "running", 240); // a worker may get the Secret later than the API did
  note("the session runs");
  printTable(`onboarding of ${name}`, rows);
});

test("a tenant is removed in two steps: its session ends, its key stops working, and nothing is left", async () => {
  await upWith({ name, remove: true });
  await until(
    "the API refuses the key, and nothing is left of the session",
    240,
    async () => ({
      status: (await call(key, "GET", "/v1/sessions")).status,
      left: await kubectl(["get", "pods,pvc", "-n", namespace, "-o", "name"]),
    }),
    ({ status, left }) => status === 401 && left === "",
  );
  await upWith();
  expect(await kubectl(["get", "namespace", namespace, "--ignore-not-found"])).toBe("");
  await noVolumeLeft(namespace);
  const everything = "clusterroles,clusterrolebindings,rolebindings,networkpolicies,secrets,configmaps";
  expect(await kubectl(["get", everything, "-A", "-o", "name"])).not.toContain(name);
  expect((await stackOutputs("dev")).tenantKeys).not.toHaveProperty(name);
});
