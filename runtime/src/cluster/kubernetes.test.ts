import { ApiException } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { kubeApi } from "../testing/kubeApi.ts";
import { connectKubernetes, refusalOf, retryAfterMs } from "./kubernetes.ts";

const answer = (code: number, reason: string, message: string) =>
  new ApiException(code, "HTTP", JSON.stringify({ kind: "Status", reason, message }), {});

test.each([
  [404, "NotFound", 'pods "agent-1" not found', "missing"],
  [409, "AlreadyExists", 'pods "agent-1" already exists', "exists"],
  [
    409,
    "Conflict",
    'Operation cannot be fulfilled on resourcequotas "sessions": the object has been modified',
    "conflict",
  ],
  [
    403,
    "Forbidden",
    'pods "agent-1" is forbidden: exceeded quota: sessions, requested: pods=1, used: pods=50, limited: pods=50',
    "quota",
  ],
  [403, "Forbidden", 'pods "agent-1" is forbidden: status unknown for quota: tenant, resources: pods', "denied"],
  [403, "Forbidden", 'pods "agent-1" is forbidden: no PriorityClass with name berth-sessions was found', "denied"],
  [403, "Forbidden", 'pods is forbidden: User "worker" cannot create resource "pods" in API group ""', "denied"],
  [403, "Forbidden", 'pods "agent-1" is forbidden: violates PodSecurity "restricted:latest"', "rejected"],
  [
    403,
    "Forbidden",
    "unable to create new content in namespace tenant-acme because it is being terminated",
    "rejected",
  ],
  [422, "Invalid", "spec.containers[0].image: Required value", "rejected"],
])("%i %s %s", (code, reason, message, kind) => {
  expect(refusalOf(answer(code, reason, message))).toEqual({ kind, message });
});

test.each([429, 500, 503, 504])("the status %i is not a refusal: the call is tried again", (code) => {
  expect(refusalOf(answer(code, "", ""))).toBeUndefined();
});

test("a missing answer is not a refusal either", () => {
  expect(refusalOf(new Error("connect ECONNREFUSED"))).toBeUndefined();
});

test.each([
  ["5", 5_000],
  ["3600", 60_000],
  ["0", 0],
  ["Wed, 21 Oct 2026 07:28:00 GMT", 0],
])("Retry-After: %s", (header, ms) => {
  expect(retryAfterMs(new ApiException(429, "HTTP", "", { "retry-after": header }))).toBe(ms);
});

test("without Retry-After the caller does not wait", () => {
  expect(retryAfterMs(answer(500, "", ""))).toBe(0);
  expect(retryAfterMs(new Error("socket hang up"))).toBe(0);
});

test("successive calls share their connections", async () => {
  let connections = 0;
  const { server, config } = await kubeApi((_request, response) => {
    response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ kind: "Pod", apiVersion: "v1" }));
  });
  server.on("connection", () => (connections += 1));
  const core = connectKubernetes(config);
  for (let call = 0; call < 10; call += 1) await core.readNamespacedPod({ namespace: "tenant-acme", name: "agent" });
  expect(connections).toBeLessThan(3);
});

test("the caller is told which answers, or missing answers, say that the API server or its etcd is overloaded", async () => {
  const failed = (message: string) => JSON.stringify({ kind: "Status", code: 500, message });
  const answers: [code: number, body: string][] = [
    [200, "{}"],
    [429, "{}"],
    [500, failed("etcdserver: request timed out, possibly due to previous leader failure")],
    [500, failed("etcdserver: too many requests")],
    [500, failed("an admission webhook failed")],
    [503, "{}"],
    [504, "{}"],
  ];
  const { config, server } = await kubeApi((_request, response) => {
    const [code, body] = answers[seen.length] as [number, string];
    response.writeHead(code, { "content-type": "application/json" }).end(body);
  });
  const seen: [code: number, isOverload: boolean][] = [];
  const core = connectKubernetes(config, (_verb, code, isOverload) => seen.push([code, isOverload]));
  const errors: string[] = [];
  const call = () =>
    core
      .readNamespacedPod({ namespace: "tenant-acme", name: "agent" })
      .catch((error: Error) => void errors.push(error.message));
  for (const _ of answers) await call();
  server.closeAllConnections();
  server.close();
  await call();
  expect(seen).toEqual([
    [200, false],
    [429, true],
    [500, true],
    [500, true],
    [500, false],
    [503, false],
    [504, true],
    [0, true],
  ]);
  // The error still has the server's message.
  expect(errors.filter((message) => message.includes("an admission webhook failed"))).toHaveLength(1);
});
