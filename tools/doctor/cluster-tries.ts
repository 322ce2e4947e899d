/**
 * The doctor's trials in a real cluster. A trial that needs pods or volumes makes them in a new namespace, and deletes the
 * namespace. The trial session runs in its tenant's namespace.
 */
import { randomBytes } from "node:crypto";
import * as k8s from "@kubernetes/client-node";
import { execa } from "execa";
import { dockerConfig, pullSecretNames, registryLoginName } from "../../infra/images/registry-login.ts";
import { type ClusterAccess, configOf } from "../../infra/kubernetes/cluster.ts";
import { restrictedNamespace } from "../../infra/kubernetes/security.ts";
import { missingImages } from "../../runtime/src/cluster/missingImages.ts";
import type { Patient } from "./check.ts";
import { type Facts, factsOf, ifMissing } from "./facts.ts";
import { type Ground, platformGround, sessionGrounds } from "./grounds.ts";
import { imagesProgress, type Puller, pullerNamespaces, pullerOf } from "./images.ts";
import { needsOf } from "./needs.ts";
import { type Progress, poll } from "./poll.ts";
import * as probes from "./probe.ts";
import { scalersProgress } from "./scalers.ts";
import { trySession } from "./session-trial.ts";
import type { Probed, ProbedSessions, Scaler, Tries, Workload } from "./tries.ts";

/** The longest time for the start of a pod. A slow registry or a node that joins the cluster may delay the start. */
const startSeconds = 180;
/** The longest time until an autoscaler has its first metrics. */
const metricsSeconds = 180;
/** The longest time for the deletion of a namespace with its pods and volumes. */
const deletionSeconds = 120;

export function clusterTries(access: ClusterAccess, patient: Omit<Patient, "tries">): Tries {
  const { config, outputs } = patient;
  const kubeconfig = configOf(access);
  const [core, apps, batch] = [
    kubeconfig.makeApiClient(k8s.CoreV1Api),
    kubeconfig.makeApiClient(k8s.AppsV1Api),
    kubeconfig.makeApiClient(k8s.BatchV1Api),
  ];
  const { registryLogins, imagePullSecrets } = config;
  const setting = (ground: Ground): probes.Setting => ({
    image: probes.nodeImage(config, outputs, ground),
    pullSecrets: pullSecretNames(config),
    ground,
  });

  /** Runs `use` in a new namespace, which is deleted at the end, also after a failure. */
  async function inNamespace<T>(use: (namespace: string) => Promise<T>): Promise<T> {
    const name = `berth-doctor-${randomBytes(4).toString("hex")}`;
    await core.createNamespace({ body: { metadata: { name, labels: restrictedNamespace } } });
    try {
      if (registryLogins.length > 0)
        await core.createNamespacedSecret({
          namespace: name,
          body: {
            metadata: { name: registryLoginName },
            type: "kubernetes.io/dockerconfigjson",
            stringData: { ".dockerconfigjson": dockerConfig(registryLogins) },
          },
        });
      for (const secret of imagePullSecrets) await copySecret(secret, name);
      return await use(name);
    } finally {
      await core.deleteNamespace({ name });
      await poll(deletionSeconds, () => gone(name), null);
    }
  }

  /** Copies a pull secret of the platform's namespace. Ignores a missing pull secret, which the check `secrets` reports. */
  async function copySecret(secret: string, namespace: string): Promise<void> {
    const found = await core.readNamespacedSecret({ name: secret, namespace: config.namespace }).catch(ifMissing);
    if (found === undefined) return;
    const { type = "Opaque", data = {} } = found;
    await core.createNamespacedSecret({ namespace, body: { metadata: { name: secret }, type, data } });
  }

  const gone = async (name: string): Promise<Progress<true>> => {
    const left = (await core.listNamespace({ fieldSelector: `metadata.name=${name}` })).items.length > 0;
    return left ? { waitsFor: `the namespace ${name} is not deleted`, because: "" } : { done: true };
  };

  /**
   * Waits until the Job's pod has succeeded, and returns the pod. @throws Error with the pod's reason, if the pod fails or has
   * not ended in time
   */
  async function ended(namespace: string, job: string): Promise<k8s.V1Pod> {
    return poll(startSeconds, async () => {
      const { items } = await core.listNamespacedPod({ namespace, labelSelector: `job-name=${job}` });
      const [pod] = items;
      if (pod?.status?.phase === "Succeeded") return { done: pod };
      if (pod?.status?.phase === "Failed")
        throw new Error(`the pod of the Job ${job} has failed: ${probes.reasonOf(pod)}`);
      return { waitsFor: `the pod of the Job ${job} has not ended`, because: pod ? probes.reasonOf(pod) : "" };
    });
  }

  async function started(namespace: string, pod: k8s.V1Pod): Promise<string> {
    const { metadata } = await core.createNamespacedPod({ namespace, body: pod });
    const name = metadata?.name ?? "";
    return poll(startSeconds, async () => {
      const now = await core.readNamespacedPod({ namespace, name });
      if (now.status?.phase === "Running" && now.status.podIP) return { done: now.status.podIP };
      return { waitsFor: `the pod ${name} doesn't run`, because: probes.reasonOf(now) };
    });
  }

  /** Makes the policies of the probes: NetworkPolicies and, if the config says so, CiliumNetworkPolicies. */
  async function isolate(namespace: string): Promise<void> {
    const networking = kubeconfig.makeApiClient(k8s.NetworkingV1Api);
    const custom = kubeconfig.makeApiClient(k8s.CustomObjectsApi);
    for (const body of probes.policies(config)) await networking.createNamespacedNetworkPolicy({ namespace, body });
    for (const [name, spec] of Object.entries(probes.ciliumPolicies(config)))
      await custom.createNamespacedCustomObject({
        group: "cilium.io",
        version: "v2",
        plural: "ciliumnetworkpolicies",
        namespace,
        body: { apiVersion: "cilium.io/v2", kind: "CiliumNetworkPolicy", metadata: { name }, spec },
      });
  }

  const pullerIn = async (namespace: string): Promise<Puller> =>
    pullerOf(namespace, await apps.readNamespacedDaemonSet({ namespace, name: "image-puller" }).catch(ifMissing));

  const probeOnce = (): Promise<Probed> =>
    inNamespace(async (namespace) => {
      await isolate(namespace);
      const [platform, grounds] = [platformGround(config), sessionGrounds(config)];
      // The two target pods run on nodes of sessions, because the platform must reach the pods of sessions there.
      const [first = platform] = grounds;
      const [open, closed] = await Promise.all([
        started(namespace, probes.target("open", setting(first))),
        started(namespace, probes.target("closed", setting(first))),
      ]);
      const attempts = probes.attemptsOf({ open, closed });
      const outcomes = async (name: string, role: keyof typeof attempts, ground: Ground): Promise<string[]> => {
        const body = probes.probeJob(name, role, attempts[role], setting(ground));
        await batch.createNamespacedJob({ namespace, body });
        const pod = await ended(namespace, name);
        const log = await core.readNamespacedPodLog({ namespace, name: pod.metadata?.name ?? "" });
        return JSON.parse(log) as string[];
      };
      const ofSessions = async (ground: Ground, index: number): Promise<ProbedSessions> => {
        const [toOpen = "", toClosed = "", dns = ""] = await outcomes(`session-${index + 1}`, "session", ground);
        return { of: ground.of, toOpen, toClosed, dns };
      };
      const [free, worker, sessions] = await Promise.all([
        outcomes("free", "free", platform),
        outcomes("worker", "worker", platform),
        Promise.all(grounds.map(ofSessions)),
      ]);
      const [freeToOpen = "", freeToClosed = ""] = free;
      return { freeToOpen, freeToClosed, sessions, workerToApi: worker[0] ?? "" };
    });
  let probed: Promise<Probed> | undefined;
  let facts: Promise<Facts> | undefined;

  return {
    docker: async () => !(await execa("docker", ["version"], { reject: false, timeout: 10_000 })).failed,
    facts: () => {
      facts ??= factsOf(access, needsOf(config));
      return facts;
    },
    probe: () => {
      probed ??= probeOnce();
      return probed;
    },
    bind: ({ storageClass, ground }) =>
      inNamespace(async (namespace) => {
        await core.createNamespacedPersistentVolumeClaim({ namespace, body: probes.claim(storageClass) });
        await batch.createNamespacedJob({ namespace, body: probes.writeJob(setting(ground)) });
        await ended(namespace, "write");
      }),
    measuredNodes: async () => (await new k8s.Metrics(kubeconfig).getNodeMetrics()).items.length,
    workloads: async (): Promise<Workload[]> => {
      const { namespace } = config;
      const [deployments, sets, pods] = await Promise.all([
        apps.listNamespacedDeployment({ namespace }),
        apps.listNamespacedStatefulSet({ namespace }),
        core.listNamespacedPod({ namespace }),
      ]);
      const reasonFor = (labels: Record<string, string>) =>
        pods.items
          .filter(({ metadata }) => Object.entries(labels).every(([key, value]) => metadata?.labels?.[key] === value))
          .map(probes.reasonOf)
          .find((reason) => reason !== "") ?? "";
      const of =
        (kind: string) =>
        ({ metadata, spec, status }: k8s.V1Deployment | k8s.V1StatefulSet): Workload => ({
          name: `${kind} ${metadata?.name}`,
          ready: status?.readyReplicas ?? 0,
          wanted: spec?.replicas ?? 1,
          reason: reasonFor(spec?.selector.matchLabels ?? {}),
        });
      return [...deployments.items.map(of("Deployment")), ...sets.items.map(of("StatefulSet"))];
    },
    images: async () => {
      const namespaces = pullerNamespaces(config);
      await poll(startSeconds, async () => {
        const pullers = await Promise.all(namespaces.map(pullerIn));
        const missing = (await Promise.all(namespaces.map((namespace) => missingImages(core, namespace)))).flat();
        return imagesProgress(pullers, missing);
      });
    },
    scalers: async () => {
      const scaling = kubeconfig.makeApiClient(k8s.AutoscalingV2Api);
      await poll(metricsSeconds, async () => {
        const { items } = await scaling.listNamespacedHorizontalPodAutoscaler({ namespace: config.namespace });
        return scalersProgress(items.map(scaler));
      });
    },
    session: (key) =>
      trySession(
        kubeconfig,
        { namespace: config.namespace, component: config.gateway === "inside" ? "api" : "gateway" },
        key,
      ),
    status: (url) =>
      fetch(url, { signal: AbortSignal.timeout(10_000) }).then(
        (response) => response.status,
        () => undefined,
      ),
  };
}

const scaler = ({ metadata, status }: k8s.V2HorizontalPodAutoscaler): Scaler => {
  const active = status?.conditions?.find(({ type }) => type === "ScalingActive");
  return {
    name: metadata?.name ?? "",
    isActive: active?.status === "True",
    message: active?.message ?? "it has not looked for metrics yet",
  };
};
