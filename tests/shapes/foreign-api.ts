/**
 * Another server of a metrics API, as a cluster may have one before Berth comes. The server is a program of Node.js in a pod. It
 * answers the requests by which Kubernetes discovers an API. For metrics.k8s.io, it also reports the same small use of CPU and
 * memory for each pod of a namespace and for the node. The server measures nothing, so no test compares the values that it
 * reports.
 */
import { execa } from "execa";
import { stringify } from "yaml";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { kubectlWait } from "../../local/cluster/testing.ts";
import { machine } from "../../machine/machine.ts";

export const namespace = "metrics";
const name = "server";
const labels = { app: name };

/** The program. KEY and CERT are in PEM. Its ServiceAccount may list pods. */
const program = (group: string) => `
const { readFileSync } = require("fs");
const account = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const usage = { cpu: "10m", memory: "20Mi" };
const measured = { timestamp: new Date().toISOString(), window: "30s" };
const groupVersion = "${group}/v1beta1";
const resources = ${JSON.stringify(
  group === "metrics.k8s.io"
    ? [
        { name: "nodes", singularName: "", namespaced: false, kind: "NodeMetrics", verbs: ["get", "list"] },
        { name: "pods", singularName: "", namespaced: true, kind: "PodMetrics", verbs: ["get", "list"] },
      ]
    : [],
)};
async function answer(url) {
  const [, of] = /\\/namespaces\\/([^/]+)\\/pods$/.exec(url.pathname) ?? [];
  if (of) {
    const headers = { authorization: "Bearer " + readFileSync(account, "utf8") };
    const pods = await (await fetch("https://kubernetes.default.svc/api/v1/namespaces/" + of + "/pods" + url.search, { headers })).json();
    const items = pods.items.map(({ metadata, spec }) => ({
      metadata: { name: metadata.name, namespace: of, labels: metadata.labels },
      ...measured,
      containers: spec.containers.map(({ name }) => ({ name, usage })),
    }));
    return { kind: "PodMetricsList", apiVersion: groupVersion, metadata: {}, items };
  }
  if (url.pathname.endsWith("/nodes"))
    return { kind: "NodeMetricsList", apiVersion: groupVersion, metadata: {}, items: [{ metadata: { name: "berth" }, ...measured, usage }] };
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion, resources };
}
require("https")
  .createServer({ key: process.env.KEY, cert: process.env.CERT }, (request, response) => {
    answer(new URL(request.url, "https://server")).then(
      (body) => response.setHeader("content-type", "application/json").end(JSON.stringify(body)),
      (error) => response.writeHead(500).end(String(error)),
    );
  })
  .listen(8443);
`;

/** Starts a server of the API, for example metrics.k8s.io, and waits until the cluster can use the API. */
export async function startForeignApi(group: string): Promise<void> {
  const { stdout: pem } = await execa("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
    ...["-subj", "/CN=metrics", "-keyout", "-"],
  ]);
  const [cert = "", key = ""] = ["CERTIFICATE", "PRIVATE KEY"].map(
    (kind) => new RegExp(`-----BEGIN ${kind}-----[^]*-----END ${kind}-----\\n?`).exec(pem)?.[0],
  );
  const objects = [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: namespace },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
      subjects: [{ kind: "ServiceAccount", name: "default", namespace }],
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            containers: [
              {
                name,
                image: `${machine.registry}/docker.io/library/node:24-bookworm-slim`,
                command: ["node", "-e", program(group)],
                env: [
                  { name: "KEY", value: key },
                  { name: "CERT", value: cert },
                  { name: "NODE_EXTRA_CA_CERTS", value: "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt" },
                ],
                readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 2 },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace },
      spec: { selector: labels, ports: [{ port: 443, targetPort: 8443 }] },
    },
    {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: { name: `v1beta1.${group}` },
      spec: {
        group,
        version: "v1beta1",
        groupPriorityMinimum: 100,
        versionPriority: 100,
        insecureSkipTLSVerify: true,
        service: { namespace, name },
      },
    },
  ];
  await kubectl(["apply", "--server-side", "-f", "-"], objects.map((object) => stringify(object)).join("---\n"));
  await kubectlWait("condition=Available", 120, `apiservice/v1beta1.${group}`);
}

/** The namespace of the server that has the API. */
export const servedFrom = (group: string): Promise<string> =>
  kubectl(["get", `apiservice/v1beta1.${group}`, "-o", "jsonpath={.spec.service.namespace}"]);
