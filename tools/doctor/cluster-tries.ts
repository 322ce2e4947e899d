/**
 * The doctor's trials in a real cluster. A trial that needs pods or volumes makes them in a namespace of its own, and deletes the
 * namespace. The trial session runs in its tenant's namespace.
 */
import { randomBytes } from "node:crypto";
import * as k8s from "@kubernetes/client-node";
import { execa } from "execa";
import { tenantNamespace } from "../../infra/config/tenant.ts";
import { dockerConfig, registryLoginName } from "../../infra/images/registry-login.ts";
import { type ClusterAccess, configOf } from "../../infra/kubernetes/cluster.ts";
import { restrictedNamespace } from "../../infra/kubernetes/security.ts";
import { missingImages } from "../../runtime/src/cluster/missingImages.ts";
import type { Patient } from "./check.ts";
import { imagesProgress } from "./images.ts";
import { type Progress, poll } from "./poll.ts";
import * as probes from "./probe.ts";
import { trySession } from "./session-trial.ts";
import type { Probed, Scaler, Tries, Workload } from "./tries.ts";

/** The longest time for the start of a pod. A slow registry or a node that joins the cluster may delay the start. */
const startSeconds = 180;
/** The longest time for the deletion of a namespace with its pods and volumes. */
const deletionSeconds = 120;

export function clusterTries(access: ClusterAccess, patient: Omit<Patient, "tries">): Tries {
  const { config, seen, outputs } = patient;
  const kubeconfig = configOf(access);
  const [core, apps, batch] = [
    kubeconfig.makeApiClient(k8s.CoreV1Api),
    kubeconfig.makeApiClient(k8s.AppsV1Api),
    kubeconfig.makeApiClient(k8s.BatchV1Api),
  ];
  const image = probes.nodeImage(config, outputs);
  const { registryLogins } = config;
  const pullSecrets = registryLogins.length > 0 ? [registryLoginName] : [];

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
      return await use(name);
    } finally {
      await core.deleteNamespace({ name });
      await poll(deletionSeconds, () => gone(name), null);
    }
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

  const probeOnce = (): Promise<Probed> =>
    inNamespace(async (namespace) => {
      const networking = kubeconfig.makeApiClient(k8s.NetworkingV1Api);
      for (const body of probes.policies(config, seen))
        await networking.createNamespacedNetworkPolicy({ namespace, body });
      const [open, closed] = await Promise.all([
        started(namespace, probes.target("open", image, pullSecrets)),
        started(namespace, probes.target("closed", image, pullSecrets)),
      ]);
      const attempts = probes.attemptsOf({ open, closed });
      const outcomes = async (role: keyof typeof attempts): Promise<string[]> => {
        const body = probes.probeJob(role, attempts[role], image, pullSecrets);
        await batch.createNamespacedJob({ namespace, body });
        const pod = await ended(namespace, role);
        const log = await core.readNamespacedPodLog({ namespace, name: pod.metadata?.name ?? "" });
        return JSON.parse(log) as string[];
      };
      const [free, session, worker] = await Promise.all([outcomes("free"), outcomes("session"), outcomes("worker")]);
      const [freeToOpen = "", freeToClosed = ""] = free;
      const [sessionToOpen = "", sessionDns = ""] = session;
      return { freeToOpen, freeToClosed, sessionToOpen, sessionDns, workerToApi: worker[0] ?? "" };
    });
  let probed: Promise<Probed> | undefined;

  return {
    docker: async () => !(await execa("docker", ["version"], { reject: false, timeout: 10_000 })).failed,
    probe: () => {
      probed ??= probeOnce();
      return probed;
    },
    bind: (storageClass) =>
      inNamespace(async (namespace) => {
        await core.createNamespacedPersistentVolumeClaim({ namespace, body: probes.claim(storageClass) });
        await batch.createNamespacedJob({ namespace, body: probes.writeJob(image, pullSecrets) });
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
      const namespaces = [config.namespace, ...config.tenants.map((tenant) => tenantNamespace(config, tenant))];
      await poll(startSeconds, async () => {
        const missing = (await Promise.all(namespaces.map((namespace) => missingImages(core, namespace)))).flat();
        return imagesProgress(missing);
      });
    },
    scalers: async (): Promise<Scaler[]> => {
      const scaling = kubeconfig.makeApiClient(k8s.AutoscalingV2Api);
      const { items } = await scaling.listNamespacedHorizontalPodAutoscaler({ namespace: config.namespace });
      return items.map(({ metadata, status }) => {
        const active = status?.conditions?.find(({ type }) => type === "ScalingActive");
        return {
          name: metadata?.name ?? "",
          isActive: active?.status === "True",
          message: active?.message ?? "it has not looked for metrics yet",
        };
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
