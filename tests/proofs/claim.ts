/** Reads files from a volume claim that no pod uses, as the tenant's operator can do. */
import { until } from "@berth/testing/until.ts";
import { core } from "../berth.ts";

/** Returns the content of a file in the claim. A temporary pod mounts the claim and prints the file. */
export async function fileInClaim(namespace: string, claim: string, file: string): Promise<string> {
  const name = `read-${claim}`;
  const image = await imageIn(namespace);
  await core.createNamespacedPod({
    namespace,
    body: {
      metadata: { name },
      spec: {
        restartPolicy: "Never",
        automountServiceAccountToken: false,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 10_001,
          runAsGroup: 10_001,
          seccompProfile: { type: "RuntimeDefault" },
        },
        containers: [
          {
            name: "read",
            image,
            command: ["cat", `/claim/${file}`],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
            volumeMounts: [{ name: "claim", mountPath: "/claim", readOnly: true }],
          },
        ],
        volumes: [{ name: "claim", persistentVolumeClaim: { claimName: claim, readOnly: true } }],
      },
    },
  });
  try {
    await until(
      `the pod ${name} has read`,
      60,
      async () => (await core.readNamespacedPod({ name, namespace })).status?.phase,
      (phase) => phase === "Succeeded" || phase === "Failed",
    );
    return await core.readNamespacedPodLog({ name, namespace });
  } finally {
    await core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 0 });
  }
}

/** Returns the image of a session's pod in the namespace. The node already has this image. */
async function imageIn(namespace: string): Promise<string> {
  const labelSelector = "app.kubernetes.io/name=agent-session";
  const { items } = await core.listNamespacedPod({ namespace, labelSelector });
  const image = items[0]?.spec?.containers[0]?.image;
  if (image === undefined) throw new Error(`no session runs in ${namespace}`);
  return image;
}
