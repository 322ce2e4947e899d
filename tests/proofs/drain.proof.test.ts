/**
 * When the node is drained, sessions end with a reason or resume later with their workspace, and disruption budgets are
 * respected.
 */
import { patience, until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { stackEnvironment } from "../../local/pulumi/stack.ts";
import { machine } from "../../machine/machine.ts";
import { apiUrl, core, inAgent, keyOf, reaches, type Session } from "../berth.ts";
import { deploy } from "../pulumi.ts";
import { inBerth, rolledOut, tenantsAreKnown } from "./platform.ts";
import { create, end, find, type Tenant } from "./sessions.ts";

const { nodeName } = machine;

/**
 * `resumed` is acme's session, which waits for a node and then runs again. `ended` is globex's session, which ends, as is
 * the default.
 */
let resumed: Session;
let ended: Session;

const cleanUp = new AsyncDisposableStack();

beforeAll(async () => {
  await deploy(cleanUp, {
    change: ({ config }) => {
      config["berth:worker"] = { autoscaling: { min: 2, max: 2 } };
      for (const tenant of config["berth:tenants"]) if (tenant.name === "acme") tenant.onDrain = "resume";
    },
  });
  await until(
    "two workers are ready",
    180,
    () => readyPods("worker"),
    (count) => count === 2,
  );
  await tenantsAreKnown();
  const start = async (tenant: Tenant) => {
    const { id } = await create(tenant);
    cleanUp.defer(() => end(tenant, id));
    return reaches(keyOf(tenant), id, "running");
  };
  [resumed, ended] = await Promise.all([start("acme"), start("globex")]);
  cleanUp.defer(async () => void (await kubectl(["uncordon", nodeName])));
});

afterAll(() => cleanUp.disposeAsync());

/** Returns the component's pods that are ready and are not being deleted. */
async function readyPods(component: string): Promise<number> {
  const { items } = await core.listNamespacedPod({
    namespace: "berth",
    labelSelector: `app.kubernetes.io/name=${component}`,
  });
  const ready = items.filter(
    ({ metadata, status }) =>
      !metadata?.deletionTimestamp &&
      status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
  );
  return ready.length;
}

/**
 * Drains the node as an operator does, but only pods with the label, because a cluster with one node has no other place for
 * pods.
 */
const drain = (selector: string, seconds: number) =>
  execa(
    "kubectl",
    ["drain", nodeName, `--pod-selector=${selector}`, "--delete-emptydir-data", "--force", `--timeout=${seconds}s`],
    {
      env: stackEnvironment(),
      reject: false,
      all: true,
    },
  );

test("sessions get their grace period, and then end with a reason or wait for a node, as the tenant's config says", async () => {
  await inAgent("tenant-acme", resumed.id, ["sh", "-c", "echo kept > /home/agent/workspace/proof"]);
  const run = await drain("app.kubernetes.io/component=session", 90 * patience);
  expect(run.exitCode, run.all).toBe(0);

  await reaches(keyOf("globex"), ended.id, "failed");
  const after = await find("globex", ended.id);
  console.log(`  globex's session: ${after.state}, ${after.cause}, "${after.reason}"`);
  expect(after).toMatchObject({ state: "failed", cause: "node-drain" });

  const now = await until(
    "acme's session waits for a node",
    90,
    () => find("acme", resumed.id),
    ({ reason }) => reason?.startsWith("Waiting for a node with room") ?? false,
  );
  console.log(`  acme's session: ${now.state}, "${now.reason}"`);
});

test("the platform's pods are drained one at a time, and the drain waits until each pod is replaced", async () => {
  const run = await drain("app.kubernetes.io/name=worker", 25);
  expect(run.exitCode, run.all).not.toBe(0);
  expect(run.all).toContain("Cannot evict pod as it would violate the pod's disruption budget");
  expect(await readyPods("worker")).toBe(1);
  expect((await fetch(new URL("/health/ready", apiUrl))).status).toBe(200);
});

test("when the node is back, the waiting session runs again with its workspace, and all workers run", async () => {
  await kubectl(["uncordon", nodeName]);
  await reaches(keyOf("acme"), resumed.id, "running");
  expect(await inAgent("tenant-acme", resumed.id, ["cat", "/home/agent/workspace/proof"])).toBe("kept\n");
  await rolledOut("deployment/worker");
  expect(await readyPods("worker")).toBe(2);
  const allowed = ["get", "pdb", "worker", "-o", "jsonpath={.status.disruptionsAllowed}"];
  await until(
    "the disruption budget allows the eviction of one worker",
    60,
    () => inBerth(allowed),
    (count) => count === "1",
  );
});
