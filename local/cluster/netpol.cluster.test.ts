import { execa } from "execa";
import { expect, it, vi } from "vitest";
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
  const addresses = await namespace.startPods([
    {
      name: "server",
      script: "for (const port of [8080, 8081]) require('net').createServer((s) => s.end()).listen(port)",
      ports: [{ name: "web", containerPort: 8080 }],
    },
    { name: "friend", script: "setInterval(() => {}, 1000)" },
    { name: "stranger", script: "setInterval(() => {}, 1000)" },
  ]);
  const server = addresses.get("server") ?? "";
  const reaches = (pod: string, port: number) => namespace.connect(pod, server, port);
  await vi.waitFor(async () => expect(await reaches("stranger", 8080)).toBe("connected"), { timeout: 10_000 });

  await namespace.apply(policy("default-deny", { podSelector: {}, policyTypes: ["Ingress", "Egress"] }));
  await vi.waitFor(async () => expect(await reaches("friend", 8080)).toBe("timeout"), { timeout: 20_000 });

  await namespace.apply(
    policy("server", {
      ...pods("server"),
      policyTypes: ["Ingress"],
      ingress: [{ from: [pods("friend")], ports: [{ port: "web" }] }],
    }),
    policy("friend", { ...pods("friend"), policyTypes: ["Egress"], egress: [{ to: [pods("server")] }] }),
    policy("stranger", { ...pods("stranger"), policyTypes: ["Egress"], egress: [{}] }),
  );
  await vi.waitFor(async () => expect(await reaches("friend", 8080)).toBe("connected"), { timeout: 20_000 });
  expect(await reaches("friend", 8081)).toBe("timeout");
  expect(await reaches("stranger", 8080)).toBe("timeout");
});

it("turns policies into rules as its own Go tests say", async () => {
  // built as the program is, so that nothing of Kubernetes is compiled again
  const args = ["test", "-trimpath", "-mod=readonly", "./netpol"];
  const tests = await execa("go", args, {
    cwd: sources,
    env: { CGO_ENABLED: "0", GOFLAGS: "" },
    reject: false,
    all: true,
  });
  expect(tests.exitCode, tests.all).toBe(0);
});
