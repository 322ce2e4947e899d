/** The cluster has a server of metrics.k8s.io already. The stack's adapter leaves this API to it. */
import { expect } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { namespace, servedFrom, startForeignApi } from "./foreign-api.ts";
import { testShape } from "./shape.ts";

const group = "metrics.k8s.io";

testShape({
  what: "CPU and memory are served already",
  prepare: () => startForeignApi(group),
  refused: {
    change: () => {},
    says: /already serves the API .*metrics\.k8s\.io.*set `adapter\.resourceMetrics: false`/s,
  },
  change: ({ config }) => {
    config["berth:adapter"] = { replicas: 1, resourceMetrics: false };
  },
  check: async () => {
    expect(await servedFrom(group)).toBe(namespace);
    expect(await servedFrom("external.metrics.k8s.io")).toBe("berth");
    expect(await kubectl(["top", "pods", "--namespace=berth"])).toMatch(/^api-/m);
  },
});
