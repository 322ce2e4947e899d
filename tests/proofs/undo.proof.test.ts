/**
 * The version before, while a changed configuration is rolled out and after it: a pod of it that goes in the middle of
 * the rollout starts again, and Kubernetes alone brings it back (`kubectl rollout undo`), without Pulumi.
 */
import { until } from "@berth/testing/until.ts";
import { afterAll, expect, test } from "vitest";
import { call, core, keyOf } from "../berth.ts";
import { type StackFile, upOrThrow } from "../pulumi.ts";
import { allowRefusals } from "../refusals.ts";
import { apps, inBerth, rolledOut } from "./platform.ts";

const minutes = 60_000;
const cleanUp = new AsyncDisposableStack();
afterAll(() => cleanUp.disposeAsync(), 8 * minutes);

const debug = {
  change: (file: StackFile) => {
    file.config["berth:logLevel"] = "debug";
  },
};

/** The ConfigMap that the API's pods are told to start with. */
async function configOf(): Promise<string> {
  const { spec } = await apps.readNamespacedDeployment({ name: "api", namespace: "berth" });
  return spec?.template.spec?.containers[0]?.envFrom?.[0]?.configMapRef?.name ?? "";
}

/** The API's pods that start with the ConfigMap and are to stay. */
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

test(
  "a pod of the version before starts in the middle of a rollout, and `kubectl rollout undo` brings it back",
  async () => {
    using _ = allowRefusals("the API's one pod of the version before is deleted before the new one is ready");
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
        "another pod of the version before is ready",
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
      "all pods are of the version before",
      60,
      () => podsWith(after),
      (pods) => pods.length === 0,
    );
    expect((await podsWith(before)).every(isReady)).toBe(true);
    expect((await call(keyOf("acme"), "GET", "/v1/sessions")).status).toBe(200);
  },
  9 * minutes,
);
