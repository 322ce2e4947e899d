/** Pods for tests of the network policies of sessions. */

interface PodName {
  namespace: string;
  pod: string;
}

/** A program that listens on the ports of desktop, services and VNC, and serves metrics on the metrics port. */
const program = `
  for (const port of [6080, 6082, 5900]) require("net").createServer((socket) => socket.end()).listen(port);
  require("http").createServer((_, answer) => answer.setHeader("content-type", "text/plain").end("session_probe 1\\n")).listen(6081);`;

/** A pod with the labels and ports of a session, from which tests make connections. The pod ends after 20 minutes. */
export const probePod = ({ namespace, pod }: PodName, image: string, claimName?: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: pod,
    namespace,
    labels: { "app.kubernetes.io/component": "session", "app.kubernetes.io/part-of": "berth" },
    annotations: { "prometheus.io/scrape": "true", "prometheus.io/port": "6081", "prometheus.io/path": "/metrics" },
  },
  spec: {
    activeDeadlineSeconds: 1_200,
    terminationGracePeriodSeconds: 1,
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
        args: ["-e", program],
        ports: [{ name: "metrics", containerPort: 6081 }],
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
