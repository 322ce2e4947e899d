/**
 * Lowers the resource requests of all new pods in some namespaces, so that ten sessions fit on a machine with space for three.
 * For this, a mutating webhook runs in the process of a benchmark or a test. By default, the pods change in nothing else.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { until } from "@berth/testing/until.ts";
import {
  AdmissionregistrationV1Api,
  CoreV1Api,
  type KubeConfig,
  type V1Container,
  type V1Pod,
} from "@kubernetes/client-node";
import { machine } from "../../machine/machine.ts";

const { machineIp } = machine;
const name = "berth-bench";
const port = 23_443;
const requests = { cpu: "10m", memory: "16Mi" };

const little = (container: V1Container): V1Container => ({
  ...container,
  resources: { ...container.resources, requests },
});

/**
 * Starts the webhook, waits until the Kubernetes API server calls it for new pods of each namespace, and returns a function that
 * removes the webhook. The namespaces must exist.
 * @param change returns the changed container; default: the same container with small requests
 */
export async function requestLittle(
  config: KubeConfig,
  namespace: string | string[],
  change: (container: V1Container) => V1Container = little,
): Promise<() => Promise<void>> {
  const namespaces = [namespace].flat();
  const called = new Set<string>();
  const { key, cert } = await certificate();
  const server = createServer({ key, cert }, (request, response) => {
    void (async () => {
      const review = JSON.parse(Buffer.concat(await request.toArray()).toString());
      called.add(review.request.namespace);
      const pod = review.request.object as V1Pod;
      const patch = (["initContainers", "containers"] as const).flatMap((kind) =>
        (pod.spec?.[kind] ?? []).map((container, index) => ({
          op: "replace",
          path: `/spec/${kind}/${index}`,
          value: change(container),
        })),
      );
      const answer = {
        uid: review.request.uid,
        allowed: true,
        patchType: "JSONPatch",
        patch: Buffer.from(JSON.stringify(patch)).toString("base64"),
      };
      response.end(JSON.stringify({ apiVersion: review.apiVersion, kind: review.kind, response: answer }));
    })().catch(() => response.destroy()); // the Kubernetes API server has cancelled the call, and creates the pod unchanged
  });
  // The Kubernetes API server runs in the node's network namespace, so it can't reach this machine's loopback addresses.
  await new Promise<void>((resolve) => server.listen(port, machineIp, resolve));

  const api = config.makeApiClient(AdmissionregistrationV1Api);
  const remove = () => api.deleteMutatingWebhookConfiguration({ name }).catch(() => {});
  await remove(); // removes what an interrupted run has left
  await api.createMutatingWebhookConfiguration({
    body: {
      metadata: { name },
      webhooks: [
        {
          name: "requests.bench.berth.dev",
          admissionReviewVersions: ["v1"],
          sideEffects: "None",
          failurePolicy: "Ignore",
          timeoutSeconds: 10,
          clientConfig: { url: `https://${machineIp}:${port}/`, caBundle: Buffer.from(cert).toString("base64") },
          namespaceSelector: {
            matchExpressions: [{ key: "kubernetes.io/metadata.name", operator: "In", values: namespaces }],
          },
          rules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"] }],
        },
      ],
    },
  });
  const core = config.makeApiClient(CoreV1Api);
  const body = { metadata: { generateName: "berth-bench-" }, spec: { containers: [{ name: "none", image: "none" }] } };
  // A quota or policy of the namespace may refuse the pod of the dry run, after the Kubernetes API server has called the webhook.
  const isCalled = async (namespace: string) => {
    await core.createNamespacedPod({ namespace, body, dryRun: "All" }).catch(() => {});
    return called.has(namespace);
  };
  const end = async () => {
    await remove();
    server.close();
  };
  try {
    for (const one of namespaces)
      await until(`the Kubernetes API server calls the webhook for pods of ${one}`, 30, () => isCalled(one));
  } catch (error) {
    await end();
    throw error;
  }
  return end;
}

async function certificate(): Promise<{ key: string; cert: string }> {
  const folder = mkdtempSync(join(tmpdir(), "berth-bench-"));
  const [key, cert] = [join(folder, "key"), join(folder, "cert")];
  await promisify(execFile)("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
    ...["-subj", "/CN=berth-bench", "-addext", `subjectAltName=IP:${machineIp}`, "-keyout", key, "-out", cert],
  ]);
  const read = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  rmSync(folder, { recursive: true });
  return read;
}
