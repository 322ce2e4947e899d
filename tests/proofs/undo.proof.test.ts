/**
 * During and after the rollout of a changed configuration, the previous version still works: a new pod of the previous
 * version starts in the middle of the rollout, and `kubectl rollout undo` restores the previous version without Pulumi.
 */
import { until } from "@berth/testing/until.ts";
import { afterAll, expect, test } from "vitest";
import { call, core, keyOf } from "../berth.ts";
import { type StackFile, upOrThrow } from "../pulumi.ts";
import { allowRefusals } from "../refusals.ts";
import { apps, inBerth, rolledOut } from "./platform.ts";

const cleanUp = new AsyncDisposableStack();
afterAll(() => cleanUp.disposeAsync());

const debug = {
  change: (file: StackFile) => {
    file.config["berth:logLevel"] = "debug";
  },
};

/** Returns the name of the ConfigMap with which the API's pods start. */
async function configOf(): Promise<string> {
  const { spec } = await apps.readNamespacedDeployment({ name: "api", namespace: "berth" });
  return spec?.template.spec?.containers[0]?.envFrom?.[0]?.configMapRef?.name ?? "";
}

/** Returns the API's pods that use the ConfigMap and are not being deleted. */
async function podsWith(config: string) {
  const labelSelector = "app.kubernetes.io/name=api";
  const { items } = await core.listNamespacedPod({ namespace: "berth", labelSelector });
  return items.filter(
    ({ metadata, spec }) =>
      !metadata?.deletionTimestamp && spec?.containers[0]?.envFrom?.[0]?.configMapRef?.name === config,
  );
}

const isReady = ({ status }: Awaited<ReturnType<typeof podsWith>>[number]) =>
  status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;

test("a pod of the previous version starts in the middle of a rollout, and `kubectl rollout undo` restores that version", async () => {
  using _ = allowRefusals("the API's only pod of the previous version is deleted before the new pod is ready");
  const before = await configOf();
  cleanUp.defer(async () => void (await upOrThrow()));
  const rolling = upOrThrow(debug);
  rolling.catch(() => {}); // awaited below
  const after = await until("the rollout has begun", 240, configOf, (config) => config !== before);
  await inBerth(["rollout", "pause", "deployment/api"]);
  try {
    const [old] = await podsWith(before);
    expect(old).toBeDefined();
    await inBerth(["delete", "pod", old?.metadata?.name ?? "", "--wait=false"]);
    await until(
      "another pod of the previous version is ready",
      120,
      async () => (await podsWith(before)).filter(({ metadata }) => metadata?.uid !== old?.metadata?.uid),
      (pods) => pods.some(isReady),
    );
  } finally {
    await inBerth(["rollout", "resume", "deployment/api"]);
  }
  await rolling;
  await rolledOut("deployment/api");
  expect(await podsWith(before)).toEqual([]);

  await inBerth(["rollout", "undo", "deployment/api"]);
  await rolledOut("deployment/api");
  expect(await configOf()).toBe(before);
  await until(
    "all pods have the previous version",
    60,
    () => podsWith(after),
    (pods) => pods.length === 0,
  );
  expect((await podsWith(before)).every(isReady)).toBe(true);
  expect((await call(keyOf("acme"), "GET", "/v1/sessions")).status).toBe(200);
});
