/** Logs of a real pod and commands in it, with exactly the rights that the API has. */
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { until } from "@berth/testing/until.ts";
import { CoreV1Api, KubeConfig, RbacAuthorizationV1Api } from "@kubernetes/client-node";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { Access } from "../api/access/access.ts";
import { Authenticator } from "../api/access/authenticator.ts";
import { RateLimit } from "../api/access/rateLimit.ts";
import { Revocations } from "../api/access/revocations.ts";
import { Tickets } from "../api/access/tickets.ts";
import { loadKubeConfig } from "../cluster/kubernetes.ts";
import { PodAccess, PodAccessError } from "../cluster/podAccess.ts";
import { TenantsFile } from "../config/tenantsFile.ts";
import { connectRedis } from "../queue/redis.ts";
import { Activity } from "../store/activity.ts";
import { originOf } from "../testing/api.ts";
import { admin, openWorker, useCluster } from "../testing/cluster.ts";
import { keyOf, patienceMs, silent, storesConfig, tenantsFile } from "../testing/fixtures.ts";
import { ExecGateway } from "./execGateway.ts";
import { Places } from "./places.ts";
import { WebSockets } from "./webSockets.ts";

const place = useCluster({ exec: true });
const { namespace } = place;

/** A configuration for a new ServiceAccount with these rights in the namespace. */
async function withRights(rules: { resource: string; verbs: string[] }[]): Promise<KubeConfig> {
  const name = `api-${randomUUID()}`;
  const rbac = loadKubeConfig().makeApiClient(RbacAuthorizationV1Api);
  const metadata = { name };
  await admin.createNamespacedServiceAccount({ namespace, body: { metadata } });
  await rbac.createNamespacedRole({
    namespace,
    body: { metadata, rules: rules.map(({ resource, verbs }) => ({ apiGroups: [""], resources: [resource], verbs })) },
  });
  await rbac.createNamespacedRoleBinding({
    namespace,
    body: {
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    },
  });
  const request = { namespace, name, body: { spec: { audiences: [], expirationSeconds: 3600 } } };
  const { status } = await admin.createNamespacedServiceAccountToken(request);
  const cluster = loadKubeConfig().getCurrentCluster();
  if (cluster === null) throw new Error("no cluster");
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [cluster],
    users: [{ name, token: status?.token }],
    contexts: [{ name, user: name, cluster: cluster.name }],
    currentContext: name,
  });
  return config;
}

const logsOnly = [{ resource: "pods/log", verbs: ["get"] }];
const execToo = [...logsOnly, { resource: "pods/exec", verbs: ["get", "create"] }];
const options = { follow: false, tail: 100, timestamps: false };

/** A running session whose agent counts, once a second. */
async function runningSession() {
  const worker = await openWorker(place, { agent: "for i in $(seq 600); do echo line $i; sleep 1; done" });
  const { id } = await worker.create();
  return { ...worker, session: await worker.become(id, "running") };
}

test("the log is read and followed with the right to it alone, which gives no other", async () => {
  const { session } = await runningSession();
  const config = await withRights(logsOnly);
  const pods = new PodAccess(config);
  const end = new AbortController();
  const log = await pods.logs(session, { ...options, follow: true }, end.signal);
  let text = "";
  log.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  log.on("error", () => {}); // the abort
  await until(
    "the log has the lines 1 to 4",
    60,
    () => text,
    (seen) => /line 1\n(.*\n)*line 4\n/.test(seen),
  );
  end.abort();
  expect(
    (await (await pods.logs(session, { ...options, tail: 1 }, new AbortController().signal)).toArray()).join(""),
  ).toMatch(/^line \d+\n$/);

  await expect(pods.exec(session, ["true"], { tty: false })).rejects.toMatchObject({ status: 403 });
  const core = config.makeApiClient(CoreV1Api);
  await expect(core.listNamespacedPod({ namespace })).rejects.toMatchObject({ code: 403 });
  const missing = { ...session, id: "00000000-0000-4000-8000-000000000000" };
  const nothing = pods.logs(missing, options, new AbortController().signal);
  await expect(nothing).rejects.toBeInstanceOf(PodAccessError);
});

test("a command runs, gets its input, tells its outputs apart and how it ended, and counts as activity", async () => {
  const { session, records, database } = await runningSession();
  const pods = new PodAccess(await withRights(execToo));
  const tenants = new TenantsFile(tenantsFile(place.acme), silent);
  const redis = connectRedis(storesConfig("none", "", place.stores), silent);
  await until(
    "Redis is connected",
    30,
    () => redis.status,
    (status) => status === "ready",
  );
  const authenticator = new Authenticator(tenants, new Tickets("0123456789abcdef0123456789abcdef"));
  const sockets = new WebSockets({
    gateways: [
      new ExecGateway({
        queries: records.queries,
        commands: records.commands,
        tenants,
        access: new Access(authenticator, new RateLimit(redis, 1_000, silent, patienceMs)),
        activity: new Activity(records.commands, silent),
        pods,
        logger: silent,
      }),
    ],
    addressOf: () => "192.0.2.7",
    places: new Places(redis, silent, patienceMs),
    revocations: new Revocations(tenants),
    logger: silent,
  });
  const server = createServer();
  server.on("upgrade", (request, socket, head) => void sockets.upgrade(request, socket, head));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    await sockets.beforeApplicationShutdown();
    server.close();
    redis.disconnect();
    tenants.onApplicationShutdown();
  });
  await database
    .updateTable("sessions")
    .set({ last_active_at: new Date(0) })
    .execute();

  const script = "cat; echo problem >&2; exit 3";
  const query = ["sh", "-c", script].map((part) => `command=${encodeURIComponent(part)}`).join("&");
  const url = `${originOf(server).replace("http", "ws")}/v1/sessions/${session.id}/exec?${query}`;
  const client = new WebSocket(url, ["v5.channel.k8s.io"], { headers: { authorization: `Bearer ${keyOf("acme")}` } });
  const received: Record<number, string> = {};
  client.on("message", (data: Buffer) => {
    received[data[0] ?? -1] = (received[data[0] ?? -1] ?? "") + data.subarray(1).toString();
  });
  await new Promise((resolve, reject) => client.once("open", resolve).once("error", reject));
  client.send(Buffer.concat([Buffer.from([0]), Buffer.from("what I say\n")]));
  client.send(Buffer.from([255, 0])); // the end of stdin
  const code = await new Promise((resolve) => client.once("close", resolve));
  expect(code).toBe(1000);
  expect(received[1]).toBe("what I say\n");
  expect(received[2]).toBe("problem\n");
  expect(JSON.parse(received[3] ?? "{}")).toMatchObject({
    status: "Failure",
    details: { causes: [{ reason: "ExitCode", message: "3" }] },
  });
  const [event] = await database.selectFrom("session_events").selectAll().where("type", "=", "command").execute();
  expect(event).toMatchObject({
    session_id: session.id,
    state: "running",
    actor: "key:default",
    address: "192.0.2.7",
    reason: `sh -c "${script}"`,
    at: expect.any(Date),
  });
  expect((await records.queries.find(session.id))?.lastActiveAt?.getTime()).toBeGreaterThan(0);
});
