import { execa } from "execa";
import { expect, it } from "vitest";
import { guardCounters } from "./guard.ts";
import { TestNamespace } from "./testing.ts";

/** An address that documentation may use and nobody has. */
const outside = "203.0.113.1";

it("no packet of a pod leaves the machine, even where no network policy forbids it", async () => {
  // not before the guard is seen to be up
  const rules = (await execa("nft", ["list", "table", "inet", "berth_guard"])).stdout;
  expect(rules).toMatch(/hook forward[^}]*jump outgoing/);
  expect(rules).toContain("reject with tcp reset");
  const before = await guardCounters();

  await using namespace = await TestNamespace.create();
  await namespace.startPods([{ name: "pod", script: "setInterval(() => {}, 1000)" }]);

  expect(await namespace.connect("pod", outside, 80)).toBe("ECONNREFUSED");
  const query = `require("dns").promises.lookup("example.com").catch((e) => console.log(e.code))`;
  expect(await namespace.run("pod", query)).toMatch(/EAI_AGAIN|ENOTFOUND/);
  const datagram = `require("dgram").createSocket("udp4").send("x", 53, "${outside}", () => process.exit())`;
  await namespace.run("pod", datagram);

  // Pods of other tests add to `refused` meanwhile, so that only a lower bound holds; nobody may add to `leaked`.
  const after = await guardCounters();
  expect(after.refused - before.refused).toBeGreaterThanOrEqual(2);
  expect(after.leaked).toBe(0);
});

it("no pod gets into the machine's own network, which the guard doesn't watch", async () => {
  await using namespace = await TestNamespace.create();
  const container = { name: "node", image: "any" };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "pod" },
    spec: { hostNetwork: true, containers: [container] },
  };
  await expect(namespace.apply(pod)).rejects.toThrow(/violates PodSecurity "baseline:latest": .*hostNetwork=true/);
});
