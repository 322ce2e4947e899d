/**
 * Counts how often the worker writes to the tenant's namespace during the life of one session, on the stack `dev`. The
 * Kubernetes API server itself counts these requests. The benchmark creates a FlowSchema that matches only these requests, so
 * the server's metrics count them separately.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { until } from "@berth/testing/until.ts";
import { FlowcontrolApiserverV1Api, KubeConfig } from "@kubernetes/client-node";
import { program } from "../../local/cluster/build.ts";
import { machine } from "../../machine/machine.ts";
import { call, keyOf, reaches, type Session } from "../berth.ts";
import { report } from "./report.ts";

const { kubeconfig } = machine;

const acme = keyOf("acme");
const namespace = "tenant-acme";
const name = "berth-bench-worker-writes";
const sessions = 3;
const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const flows = config.makeApiClient(FlowcontrolApiserverV1Api);

/** Returns how many requests the Kubernetes API server has counted for the FlowSchema. */
async function writes(): Promise<number> {
  const options = { env: { ...process.env, KUBECONFIG: kubeconfig }, maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)(program("kubectl"), ["get", "--raw", "/metrics"], options);
  return stdout
    .split("\n")
    .filter((line) => line.startsWith(`apiserver_flowcontrol_dispatched_requests_total{flow_schema="${name}"`))
    .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
}

async function session(): Promise<void> {
  const { id } = (await (await call(acme, "POST", "/v1/sessions", { tier: "small" })).json()) as Session;
  await reaches(acme, id, "running");
  await call(acme, "DELETE", `/v1/sessions/${id}`);
  await reaches(acme, id, "stopped");
}

const removeSchema = () => flows.deleteFlowSchema({ name }).catch(() => {});
await removeSchema(); // removes what an interrupted run has left
await flows.createFlowSchema({
  body: {
    metadata: { name },
    spec: {
      // The FlowSchema must come before the FlowSchema that all service accounts share.
      matchingPrecedence: 500,
      priorityLevelConfiguration: { name: "workload-low" },
      rules: [
        {
          subjects: [{ kind: "ServiceAccount", serviceAccount: { name: "worker", namespace: "berth" } }],
          resourceRules: [
            {
              apiGroups: [""],
              namespaces: [namespace],
              resources: ["*"],
              verbs: ["create", "update", "patch", "delete", "deletecollection"],
            },
          ],
        },
      ],
    },
  },
});
try {
  // The Kubernetes API server uses a new FlowSchema only after a few seconds. So the benchmark runs sessions until their
  // writes are counted.
  await until("the API server counts the writes", 120, async () => {
    await session();
    return (await writes()) > 0;
  });
  const before = await writes();
  for (let count = 0; count < sessions; count += 1) await session();
  report("api-writes-per-session", ((await writes()) - before) / sessions, "<=4");
} finally {
  await removeSchema();
}
