/** The cluster has a server of external.metrics.k8s.io already, so the stack has no adapter. */
import { expect } from "vitest";
import { namespace, servedFrom, startForeignApi } from "./foreign-api.ts";
import { testShape } from "./shape.ts";

const group = "external.metrics.k8s.io";

testShape({
  what: "external metrics are served already",
  prepare: () => startForeignApi(group),
  refused: {
    change: () => {},
    says: /already serves the API .*external\.metrics\.k8s\.io.*set `adapter\.enabled: false`/s,
  },
  change: ({ config }) => {
    config["berth:adapter"] = { enabled: false };
  },
  check: async () => expect(await servedFrom(group)).toBe(namespace),
});
