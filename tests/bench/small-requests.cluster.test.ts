import { expect, onTestFinished, test } from "vitest";
import { cluster, core } from "../berth.ts";
import { requestLittle } from "./small-requests.ts";

test("new pods of the namespace request little, and pods of other namespaces are not changed", async () => {
  const name = `berth-test-${crypto.randomUUID().slice(0, 8)}`;
  await core.createNamespace({ body: { metadata: { name } } });
  onTestFinished(async () => void (await core.deleteNamespace({ name })));
  const requests = async (namespace: string) => {
    const resources = { requests: { cpu: "500m" } };
    const containers = [{ name: "none", image: "none", resources }];
    const body = { metadata: { generateName: "none-" }, spec: { automountServiceAccountToken: false, containers } };
    const { spec } = await core.createNamespacedPod({ namespace, body, dryRun: "All" });
    return spec?.containers[0]?.resources?.requests;
  };
  const remove = await requestLittle(cluster, name);
  onTestFinished(remove);
  expect(await requests(name)).toEqual({ cpu: "10m", memory: "16Mi" });
  expect(await requests("default")).toEqual({ cpu: "500m" });
});
