/** Pods for tests of what the cluster lets sessions do. */

export interface Place {
  namespace: string;
  pod: string;
}

/** A pod that looks like a session, listens on a session's ports and serves as a place to try from. Ends after 5 minutes. */
export const probePod = ({ namespace, pod }: Place, image: string, claimName?: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: pod, namespace, labels: { "app.kubernetes.io/component": "session" } },
  spec: {
    activeDeadlineSeconds: 300,
    automountServiceAccountToken: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 10001,
      runAsGroup: 10001,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [
      {
        name: "probe",
        image,
        args: ["-e", 'for (const port of [6080, 6081, 5900]) require("net").createServer((s) => s.end()).listen(port)'],
        resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { cpu: "200m", memory: "128Mi" } },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: claimName === undefined ? [] : [{ name: "workspace", mountPath: "/workspace" }],
      },
    ],
    volumes: claimName === undefined ? [] : [{ name: "workspace", persistentVolumeClaim: { claimName } }],
  },
});
