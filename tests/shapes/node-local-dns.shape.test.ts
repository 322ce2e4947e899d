/**
 * A DNS server on a link-local address of the node answers the pods, as NodeLocal DNSCache does, and the network policies open
 * no connection to kube-dns. The server is the local cluster's CoreDNS; it asks the Kubernetes API itself instead of kube-dns.
 */
import { patience } from "@berth/testing/until.ts";
import { expect } from "vitest";
import { stringify } from "yaml";
import { kubelet } from "../../local/cluster/components.ts";
import { configFile } from "../../local/cluster/configs.ts";
import { ensure } from "../../local/cluster/daemons.ts";
import { clusterImage } from "../../local/cluster/images.ts";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { etc } from "../../local/cluster/layout.ts";
import { runInNode } from "../../local/cluster/node.ts";
import { writeIfChanged } from "../../local/lib/files.ts";
import { machine } from "../../machine/machine.ts";
import { resolvConf, testShape } from "./shape.ts";

/** The address that NodeLocal DNSCache uses by default. */
const address = "169.254.20.10";
const name = "node-local-dns";
const labels = { "k8s-app": name };

/** The server runs as root, because only root may listen on port 53 of the node. */
const server = {
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: { name, namespace: "kube-system", labels },
  spec: {
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: {
        hostNetwork: true,
        dnsPolicy: "Default",
        serviceAccountName: "coredns",
        containers: [
          {
            name: "coredns",
            image: clusterImage("coredns"),
            args: ["-conf", "/etc/coredns/Corefile"],
            securityContext: { runAsUser: 0 },
            readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 2 },
            volumeMounts: [{ name: "config", mountPath: "/etc/coredns" }],
          },
        ],
        volumes: [{ name: "config", configMap: { name: "coredns" } }],
      },
    },
  },
};

testShape({
  what: "a DNS cache on the node in place of kube-dns",
  prepare: async () => {
    await runInNode("ip", "address", "replace", `${address}/32`, "dev", "lo");
    await kubectl(["apply", "--server-side", "-f", "-"], stringify(server));
    await kubectl(["-n", "kube-system", "rollout", "status", `daemonset/${name}`, `--timeout=${120 * patience}s`]);
    // A restarted kubelet writes the new address into the resolv.conf of new pods.
    writeIfChanged(etc("kubelet.yaml"), configFile("kubelet.yaml").replace(machine.dnsServiceIp, address));
    await ensure(kubelet);
  },
  change: ({ config }) => {
    config["berth:network"] = { dns: [{ cidr: `${address}/32` }] };
  },
  check: async () => expect(await resolvConf()).toContain(`nameserver ${address}\n`),
});
