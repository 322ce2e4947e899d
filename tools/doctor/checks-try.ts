/** Checks that try something in the cluster, and delete what they made. */
import { secondsOf } from "../../infra/config/duration.ts";
import { policyEngineOf } from "../cluster/seen.ts";
import { type Check, failed, ok, type Patient, skipped } from "./check.ts";
import { volumesOf } from "./grounds.ts";

const isolation: Check = {
  name: "isolation",
  needs: "cluster",
  async run({ seen, tries }) {
    const { freeToOpen, freeToClosed, sessions } = await tries.probe();
    const ways = [
      { way: "into a closed pod", toOpen: freeToOpen, toClosed: freeToClosed },
      ...sessions.map(({ of, ...outcomes }) => ({ way: `out of a session (${of})`, ...outcomes })),
    ];
    const listed = (of: typeof ways, outcome: "toOpen" | "toClosed") =>
      of.map((one) => `${one.way}: ${one[outcome]}`).join("; ");
    const { name, remedy = "check the plugin's log" } = policyEngineOf(seen);
    const leaks = ways.filter(({ toClosed }) => toClosed !== "blocked");
    if (leaks.length > 0)
      return failed(
        `network policies don't close connections (${listed(leaks, "toClosed")}); the network plugin is ${name}`,
        remedy,
      );
    const mute = ways.filter(({ toOpen }) => toOpen !== "open");
    if (mute.length > 0)
      return failed(
        `a pod can't reach another one at a port that network policies open (${listed(mute, "toOpen")}), so nothing shows whether they are enforced`,
        "repair the network of the pods, or remove policies of the whole cluster that deny it",
      );
    return ok(`${name} enforces network policies in both directions`);
  },
};

const dns: Check = {
  name: "dns",
  needs: "cluster",
  async run({ tries }) {
    const { sessions } = await tries.probe();
    const mute = sessions.filter(({ dns }) => dns !== "open");
    return mute.length === 0
      ? ok("names resolve in pods with the policies of a session")
      : failed(
          `no name resolves in a pod with the policies of a session (${mute.map(({ of, dns }) => `${of}: ${dns}`).join(", ")})`,
          "open DNS to where the cluster answers it: see docs/your-cluster.md#names-dont-resolve",
        );
  },
};

const apiServer: Check = {
  name: "api server",
  needs: "cluster",
  async run({ config, seen, tries }) {
    const { workerToApi } = await tries.probe();
    return workerToApi === "open"
      ? ok("a pod with the policies of the worker reaches the API server")
      : failed(
          `a pod with the policies of the worker doesn't reach the API server (${workerToApi})`,
          apiRemedy(config, policyEngineOf(seen).name),
        );
  },
};

/** What to do if the policies keep the worker from the API server. @param engine the name of the network plugin */
const apiRemedy = ({ network }: Patient["config"], engine: string): string =>
  network.policies !== "cilium" && engine === "Cilium"
    ? "set `network.policies: cilium`, because an address range opens no node for Cilium (docs/network.md#cilium)"
    : "correct `kubernetesApi`: the addresses and ports of the API server that your network plugin sees";

const storage: Check = {
  name: "storage",
  needs: "cluster",
  async run({ config, tries }) {
    const volumes = volumesOf(config);
    const named = ({ storageClass }: (typeof volumes)[number]) =>
      storageClass === null ? "the default StorageClass" : `the StorageClass ${storageClass}`;
    for (const volume of volumes)
      try {
        await tries.bind(volume);
      } catch (error) {
        return failed(
          `a volume of ${named(volume)} can't be used on the nodes of ${volume.ground.of}: ${(error as Error).message}`,
          "check the class's CSI driver (kubectl get events -A), or name another class",
        );
      }
    return ok(`a pod has written to a volume of ${[...new Set(volumes.map(named))].join(" and of ")}`);
  },
};

const workloads: Check = {
  name: "pods",
  needs: "stack",
  async run({ config, tries, stack }) {
    const all = await tries.workloads();
    const waiting = all.filter(({ ready, wanted }) => ready < wanted);
    if (all.length === 0)
      return failed(
        `the namespace ${config.namespace} has no Deployment and no StatefulSet`,
        `run pulumi up -s ${stack}`,
      );
    return waiting.length > 0
      ? failed(
          waiting
            .map(
              ({ name, ready, wanted, reason }) => `${name} has ${ready} of ${wanted} pods${reason && ` (${reason})`}`,
            )
            .join("; "),
          `see docs/operating.md, and kubectl describe pods -n ${config.namespace}`,
        )
      : ok(`all pods of ${all.length} Deployments and StatefulSets are ready`);
  },
};

const images: Check = {
  name: "images",
  needs: "stack",
  async run({ config, tries }) {
    if (!config.prepullAgentImage)
      return skipped("`prepullAgentImage` is off, so nodes pull an image when a session needs it");
    try {
      await tries.images();
      return ok("every node on which sessions may run has their images");
    } catch (error) {
      return failed((error as Error).message, "see docs/operating.md#berthimagesmissing");
    }
  },
};

const metrics: Check = {
  name: "metrics",
  needs: "stack",
  async run({ config, tries }) {
    if (config.autoscaler === "off") return skipped("`autoscaler` is `off`, so no autoscaler needs metrics");
    const measured = await tries.measuredNodes();
    if (measured === 0)
      return failed(
        "metrics.k8s.io has no measurement of a node",
        config.adapter.resourceMetrics
          ? "check Prometheus' targets: kubelets with certificates of their own need `prometheus.kubelets.verifyCertificates: false`, and the API server must reach the adapter's port 6443"
          : "check metrics-server",
      );
    try {
      await tries.scalers();
      return ok(`metrics.k8s.io has metrics of ${measured} nodes, and every autoscaler has its metrics`);
    } catch (error) {
      return failed((error as Error).message, "see docs/monitoring.md");
    }
  },
};

/**
 * The tenant of the trial session, with an API key that Berth generated: the first one whose workspaces are not kept after a
 * session's end, so that nothing of the trial stays; if there is none, the first one. Undefined if Berth generated no key.
 */
export function trialTenant({
  config,
  outputs,
}: Pick<Patient, "config" | "outputs">): { name: string; key: string } | undefined {
  const usable = config.tenants.flatMap(({ name, remove, retention, workspace }) => {
    const [key] = Object.values(outputs?.tenantKeys[name] ?? {});
    const keeps = workspace.mode === "persistent" && secondsOf(retention) !== 0;
    return remove || key === undefined ? [] : [{ name, key, keeps }];
  });
  return usable.find(({ keeps }) => !keeps) ?? usable[0];
}

const session: Check = {
  name: "session",
  needs: "stack",
  async run({ config, outputs, tries }) {
    const tenant = trialTenant({ config, outputs });
    if (tenant === undefined) return skipped("no tenant has a key that Berth generated, so no session can be started");
    try {
      const { seconds, desktop, keptUntil } = await tries.session(tenant.key);
      const kept =
        keptUntil === null ? "" : `. Its workspace stays until ${keptUntil}, because of the tenant's \`retention\``;
      return ok(
        `a session of ${tenant.name} ran after ${seconds.toFixed(0)} s, and shows a desktop of ${desktop.join(" × ")}${kept}`,
      );
    } catch (error) {
      return failed((error as Error).message, "see docs/sessions.md, which explains each reason");
    }
  },
};

const address: Check = {
  name: "address",
  needs: "stack",
  async run({ outputs, tries, config }) {
    const url = outputs?.apiUrl ?? config.publicUrl;
    const status = await tries.status(`${url}/v1/openapi.json`);
    if (status === 200) return ok(`${url} answers from this machine`);
    if (status === undefined && /^https?:\/\/(127\.|localhost)/.test(url))
      return skipped(
        `${url} doesn't answer; run kubectl port-forward -n ${config.namespace} service/gateway ${new URL(url).port || 80}:80`,
      );
    return failed(
      status === undefined ? `${url} can't be reached from this machine` : `${url} answers HTTP ${status}`,
      "check the DNS record, the certificate and the ingress controller, which must lead to the Service `gateway`",
    );
  },
};

export const tryChecks: Check[] = [isolation, dns, apiServer, storage, workloads, images, metrics, address, session];
