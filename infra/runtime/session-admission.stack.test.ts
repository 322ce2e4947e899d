/** Tests which pods the API server lets the worker of the deployed stack `dev` make. Each pod is a dry run on the server. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";

interface Pod {
  metadata: { name: string; labels: Record<string, string>; ownerReferences: object[] };
  spec: Record<string, unknown> & { volumes: object[]; containers: { env: object[]; envFrom: object[] }[] };
}

/** The pod that the worker makes for a session of the tenant `acme`. */
const sessionPod = (): Pod =>
  JSON.parse(
    readFileSync(new URL("../../runtime/src/cluster/podSpec/podSpec.golden.json", import.meta.url), "utf8"),
  )[2];

const worker = "--as=system:serviceaccount:berth:worker";

/** Resolves if the API server would make the pod, and rejects with the API server's message otherwise. */
const make = (pod: Pod, ...as: string[]) =>
  kubectl([...as, "create", "--dry-run=server", "-f", "-"], JSON.stringify(pod));

test("the worker may make the pod of a session", async () => {
  expect(await make(sessionPod(), worker)).toContain("created");
});

const wrong: [string, (pod: Pod) => void, RegExp][] = [
  [
    "another name",
    ({ metadata }) => {
      metadata.name = "agent-other";
    },
    /name of its session/,
  ],
  [
    "no owner",
    ({ metadata }) => {
      metadata.ownerReferences = [];
    },
    /Secret of its session as its only owner/,
  ],
  [
    "another ServiceAccount",
    ({ spec }) => {
      spec.serviceAccountName = "default";
    },
    /ServiceAccount agent-runner/,
  ],
  [
    "a token of its account",
    ({ spec }) => {
      spec.automountServiceAccountToken = true;
    },
    /without a token/,
  ],
  [
    "another session's Secret",
    ({ spec }) => void spec.volumes.push({ name: "other", secret: { secretName: "agent-other" } }),
    /volumes must be empty/,
  ],
  [
    "another session's volume",
    ({ spec }) => void spec.volumes.push({ name: "other", persistentVolumeClaim: { claimName: "agent-other" } }),
    /volumes must be empty/,
  ],
  [
    "a token in a projected volume",
    ({ spec }) =>
      void spec.volumes.push({ name: "other", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }),
    /volumes must be empty/,
  ],
  [
    "a Secret in its environment",
    ({ spec }) => void spec.containers[0]?.envFrom.push({ secretRef: { name: "agent-other" } }),
    /environment must come from/,
  ],
  [
    "a Secret's value in its environment",
    ({ spec }) =>
      void spec.containers[0]?.env.push({
        name: "OTHER",
        valueFrom: { secretKeyRef: { name: "agent-other", key: "session-token" } },
      }),
    /environment must come from/,
  ],
  [
    "a chosen node",
    ({ spec }) => {
      spec.nodeName = "berth";
    },
    /scheduler must choose/,
  ],
];

test.each(wrong)("the worker may not make a pod with %s", async (_, change, message) => {
  const pod = sessionPod();
  change(pod);
  await expect(make(pod, worker)).rejects.toThrow(message);
});

test("the policy does not restrict an operator's pods", async () => {
  const pod = sessionPod();
  pod.metadata.name = "probe";
  expect(await make(pod)).toContain("created");
});
