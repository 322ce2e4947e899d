import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { expect, it } from "vitest";
import { goEnvironment, goFlags } from "../lib/go.ts";
import { sources } from "./build.ts";
import { TestNamespace } from "./testing.ts";

const policy = (name: string, spec: object) => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name },
  spec,
});

const pods = (name: string) => ({ podSelector: { matchLabels: { name } } });

it("enforces network policies: what is denied by default opens by name, port and peer only", async () => {
  await using namespace = await TestNamespace.create();
  const serving = {
    script: "for (const port of [8080, 8081]) require('net').createServer((s) => s.end()).listen(port)",
    ports: [{ name: "web", containerPort: 8080 }],
  };
  const addresses = await namespace.startPods([
    { name: "server", ...serving },
    { name: "open-server", ...serving },
    { name: "friend", script: "setInterval(() => {}, 1000)" },
    { name: "stranger", script: "setInterval(() => {}, 1000)" },
  ]);
  const reaches = (pod: string, port: number, server = "server") =>
    namespace.connect(pod, addresses.get(server) ?? "", port);
  /** Waits until the connection has this outcome, because new rules take effect only after a while. */
  const becomes = (pod: string, port: number, outcome: string, server = "server") =>
    until(
      `the ${pod}'s connection to port ${port} of ${server} ends as "${outcome}"`,
      60,
      () => reaches(pod, port, server),
      (seen) => seen === outcome,
    );
  await becomes("stranger", 8080, "connected");
  await becomes("friend", 8081, "connected");

  await namespace.apply(policy("default-deny", { podSelector: {}, policyTypes: ["Ingress", "Egress"] }));
  await becomes("friend", 8080, "timeout");
  await becomes("stranger", 8080, "timeout", "open-server");

  await namespace.apply(
    policy("server", {
      ...pods("server"),
      policyTypes: ["Ingress"],
      ingress: [{ from: [pods("friend")], ports: [{ port: "web" }] }],
    }),
    policy("open-server", { ...pods("open-server"), policyTypes: ["Ingress"], ingress: [{}] }),
    policy("friend", { ...pods("friend"), policyTypes: ["Egress"], egress: [{ to: [pods("server")] }] }),
    policy("stranger", { ...pods("stranger"), policyTypes: ["Egress"], egress: [{}] }),
  );
  await becomes("friend", 8080, "connected");
  expect(await reaches("friend", 8081)).toBe("timeout");
  // The stranger reaches open-server, so the stranger's own policy is in force. So only the policy of `server` keeps the stranger
  // from `server`.
  await becomes("stranger", 8080, "connected", "open-server");
  expect(await reaches("stranger", 8080)).toBe("timeout");
});

it("turns policies into rules as its own Go tests say", async () => {
  const tests = await execa("go", ["test", "-count=1", ...goFlags, "./netpol/rules"], {
    cwd: sources,
    // The test uses Go's own cache, which no `up` empties. So only the first run compiles Kubernetes' types.
    env: goEnvironment,
    reject: false,
    all: true,
  });
  expect(tests.exitCode, tests.all).toBe(0);
});
