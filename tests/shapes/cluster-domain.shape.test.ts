/** A cluster whose Services have another domain than cluster.local. */
import { expect } from "vitest";
import { resolvConf, testShape } from "./shape.ts";

testShape({
  what: "another cluster domain",
  variables: { BERTH_CLUSTER_DOMAIN: "corp.example" },
  check: async () => {
    const settings = await resolvConf();
    expect(settings).toContain("berth.svc.corp.example");
    expect(settings).not.toContain("cluster.local");
  },
});
