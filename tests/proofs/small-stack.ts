/**
 * A small stack in its own namespace. The stack uses all three stand-ins for Pulumi's plugins, and has objects of the most
 * common Kubernetes kinds.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as docker from "@pulumi/docker";
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { machine } from "../../machine/machine.ts";

const { context, dockerSocket, kubeconfig, registry } = machine;

export interface SmallStack {
  namespace: string;
  /** A text that the image and the stack's objects contain. With another text, the image and these objects change. */
  content: string;
  /** The value of a label of the Deployment's pods. Because it can't change in place, a new value replaces the Deployment. */
  pods: string;
  /** Whether the stack contains the ConfigMap to which Pulumi gives a generated name. */
  unnamed: boolean;
  /** The folder from which the image is built; see `buildContext`. */
  context: string;
}

/**
 * Creates a folder with a Dockerfile. Each content gives a different build step, and the step mounts a secret that does not
 * exist.
 */
export function buildContext(): string {
  const folder = mkdtempSync(join(tmpdir(), "berth-build-"));
  writeFileSync(join(folder, "Dockerfile"), dockerfile);
  writeFileSync(join(folder, "file"), "content");
  return folder;
}

const dockerfile = `ARG NODE
FROM $NODE
ARG CONTENT
COPY file /file
RUN --mount=type=secret,id=token [ ! -e /run/secrets/token ] && echo $CONTENT > /content
`;

/** The program of the stack. Its outputs are the password, and the image by digest. */
export async function smallStack(stack: SmallStack): Promise<Record<string, pulumi.Output<unknown>>> {
  const { namespace: name, content, pods } = stack;
  const provider = new k8s.Provider("kubernetes", {
    kubeconfig,
    context,
    clusterIdentifier: context,
    enableConfigMapMutable: true,
    enableSecretMutable: true,
  });
  const daemon = new docker.Provider("docker", {
    host: `unix://${dockerSocket}`,
    registryAuth: [{ address: `http://${registry}`, authDisabled: true }],
  });
  const { sha256Digest } = await docker.getRegistryImage(
    { name: `${registry}/docker.io/library/node:24-bookworm-slim` },
    { provider: daemon },
  );
  const node = `${registry}/docker.io/library/node:24-bookworm-slim@${sha256Digest}`;

  const image = new docker.Image(
    "image",
    {
      imageName: `${registry}/berth/try-plugins:${name}`,
      build: {
        context: stack.context,
        dockerfile: join(stack.context, "Dockerfile"),
        platform: "linux/amd64",
        network: "host",
        builderVersion: docker.BuilderVersion.BuilderBuildKit,
        args: { NODE: node, CONTENT: content },
      },
    },
    { provider: daemon },
  );
  const password = new random.RandomPassword("password", { length: 20, special: false, keepers: { pods } });
  const bytes = new random.RandomBytes("bytes", { length: 16 });
  const id = new random.RandomId("id", { byteLength: 4, keepers: { pods } });

  const home = new k8s.core.v1.Namespace("namespace", { metadata: { name } }, { provider });
  const namespace = home.metadata.name;
  const metadata = (name: string) => ({ name, namespace, labels: { content } });
  const opts = { provider, deletedWith: home };
  const labels = { pods };
  const pod = (restartPolicy: string, command: string[]) => ({
    metadata: { labels },
    spec: {
      restartPolicy,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "node", image: node, command, env: [{ name: "CONTENT", value: content }] }],
    },
  });

  new k8s.core.v1.ConfigMap("settings", { metadata: metadata("settings"), data: { content } }, opts);
  new k8s.core.v1.ConfigMap("fixed", { metadata: metadata("fixed"), immutable: true, data: { pods } }, opts);
  if (stack.unnamed) new k8s.core.v1.ConfigMap("unnamed", { metadata: { namespace }, data: { content } }, opts);
  const stringData = { password: password.result, bytes: bytes.hex, id: id.dec, content };
  new k8s.core.v1.Secret("secret", { metadata: metadata("secret"), stringData }, opts);
  new k8s.core.v1.LimitRange(
    "limits",
    { metadata: metadata("limits"), spec: { limits: [{ type: "Container", default: { cpu: "0.1" } }] } },
    opts,
  );
  const hard = { "requests.cpu": "1000m", pods: "10" };
  new k8s.core.v1.ResourceQuota("quota", { metadata: metadata("quota"), spec: { hard } }, opts);
  const account = new k8s.core.v1.ServiceAccount("account", { metadata: metadata("account") }, opts);
  const rules = [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }];
  const role = new k8s.rbac.v1.Role("role", { metadata: metadata("role"), rules }, opts);
  new k8s.rbac.v1.RoleBinding(
    "binding",
    {
      metadata: metadata("binding"),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: role.metadata.name },
      subjects: [{ kind: "ServiceAccount", name: account.metadata.name, namespace }],
    },
    opts,
  );
  const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } };
  new k8s.core.v1.PersistentVolumeClaim("claim", { metadata: metadata("claim"), spec }, opts);
  const deployment = new k8s.apps.v1.Deployment(
    "deployment",
    {
      metadata: metadata("deployment"),
      spec: { replicas: 1, selector: { matchLabels: labels }, template: pod("Always", ["sleep", "infinity"]) },
    },
    opts,
  );
  const skipAwait = { "pulumi.com/skipAwait": "true" };
  new k8s.core.v1.Service(
    "service",
    { metadata: { ...metadata("service"), annotations: skipAwait }, spec: { selector: labels, ports: [{ port: 80 }] } },
    opts,
  );
  new k8s.batch.v1.Job(
    "job",
    {
      metadata: { ...metadata("job"), annotations: { "pulumi.com/replaceUnready": "true" } },
      spec: { template: pod("Never", ["true"]) },
    },
    opts,
  );
  new k8s.batch.v1.CronJob(
    "cron",
    {
      metadata: metadata("cron"),
      spec: { schedule: "0 2 31 2 *", jobTemplate: { spec: { template: pod("Never", ["true"]) } } },
    },
    opts,
  );
  new k8s.autoscaling.v2.HorizontalPodAutoscaler(
    "autoscaler",
    {
      metadata: metadata("autoscaler"),
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: deployment.metadata.name },
        minReplicas: 1,
        maxReplicas: 2,
      },
    },
    opts,
  );
  new k8s.policy.v1.PodDisruptionBudget(
    "budget",
    { metadata: metadata("budget"), spec: { minAvailable: 1, selector: { matchLabels: labels } } },
    opts,
  );
  const ingress = [{ from: [{ podSelector: { matchLabels: labels } }], ports: [{ port: 80 }] }];
  new k8s.networking.v1.NetworkPolicy(
    "policy",
    { metadata: metadata("policy"), spec: { podSelector: {}, policyTypes: ["Ingress"], ingress } },
    opts,
  );
  const slice = k8s.discovery.v1.EndpointSlice.get("slice", "default/kubernetes", { provider });
  return {
    password: password.result,
    image: image.repoDigest,
    apiServer: slice.endpoints.apply(([first]) => first?.addresses[0]),
  };
}
