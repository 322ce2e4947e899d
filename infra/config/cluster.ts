/** Which cluster the stack is deployed to, and how the stack proves that the cluster is the right one. */
import { z } from "zod";

/** The three lists of every kubeconfig, in YAML or JSON. */
const kubeconfigLists = ["clusters", "contexts", "users"].map((list) => new RegExp(`(^|[\\s{,])"?${list}"?\\s*:`));

export const context = z.string();

export const kubeconfig = z
  .union(
    [
      // The message must not show the text, because a kubeconfig contains credentials.
      z.string().refine((text) => kubeconfigLists.every((list) => list.test(text)), {
        error: "is not the content of a kubeconfig, which has `clusters`, `contexts` and `users`",
        params: { secret: true },
      }),
      z.strictObject({
        stack: z
          .string()
          .regex(/^[^/\s]+\/[^/\s]+\/[^/\s]+$/, {
            error: "is not the full name of a stack: organization/project/stack",
          })
          .describe("The stack that made the cluster, as organization/project/stack, for example acme/clusters/prod."),
        output: z
          .string()
          .min(1, { error: "is empty" })
          .default("kubeconfig")
          .describe("The stack's output with the kubeconfig, as text or as an object."),
      }),
    ],
    { error: "is neither the text of a kubeconfig nor a group of keys" },
  )
  .nullable();

export const clusterId = z
  .string()
  .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, {
    error: "is not a UID; read the cluster's with `kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'`",
  })
  .nullable();

export type KubeconfigSource = z.output<typeof kubeconfig>;

interface Named {
  context: string;
  kubeconfig: KubeconfigSource;
  clusterId: string | null;
}

/** Refuses a config without `context` and `kubeconfig`, and a config with `kubeconfig` but without `context` and `clusterId`. */
export function identified(check: z.core.ParsePayload<Named>): void {
  const { context, kubeconfig, clusterId } = check.value;
  const fault = (key: string, message: string) =>
    check.issues.push({ code: "custom", input: context, path: [key], message });
  if (context !== "") return;
  if (kubeconfig === null) fault("context", "is empty; name a context of your kubeconfig, or set `kubeconfig`");
  else if (clusterId === null)
    fault(
      "context",
      "is empty, and so is `clusterId`; set one of them beside `kubeconfig`, so that another kubeconfig of the same cluster replaces no resource",
    );
}
