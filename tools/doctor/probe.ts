/** The objects with which the doctor probes network and storage. Everything here is pure. */
import type { V1Job, V1NetworkPolicy, V1PersistentVolumeClaim, V1Pod, V1PodSpec } from "@kubernetes/client-node";
import type { Config } from "../../infra/config/config.ts";
import { baseImageName, imageTags, isLoopback, pinnedImages } from "../../infra/images/base-images/pinned.ts";
import { type CiliumSpec, ciliumDns, toApiServers } from "../../infra/kubernetes/cilium.ts";
import {
  allowDns,
  allowEgress,
  allowIngress,
  denyAll,
  pods,
  tcp,
  toAddresses,
} from "../../infra/kubernetes/network.ts";
import { containerSecurity, podSecurity } from "../../infra/kubernetes/security.ts";
import type { Outputs } from "./check.ts";
import { architectureOf, type Ground, schedulingOf } from "./grounds.ts";
import type { Outcome } from "./tries.ts";

/** An image with Node, and the path of Node in it. */
export interface NodeImage {
  image: string;
  node: string;
}

/**
 * The image of the doctor's pod on the nodes of `ground`. If the stack has an API image, or the config names one, this is the
 * API image, because the nodes have to pull that image in any case. Otherwise it is the base image with Node. Berth builds the
 * API's image for the architecture of `platform` only. So for nodes of another architecture, the image is the base image,
 * which exists for all.
 */
export function nodeImage(
  { images, baseRegistry, platform }: Pick<Config, "images" | "baseRegistry" | "platform">,
  outputs: Outputs | undefined,
  ground: Pick<Ground, "placement">,
): NodeImage {
  const own = outputs?.apiImage ?? (typeof images.api === "string" ? images.api : undefined);
  const architecture = architectureOf(ground.placement);
  const isBuiltFor = architecture === undefined || architecture === platform.split("/")[1];
  if (own !== undefined && isBuiltFor) return { image: own, node: "/nodejs/bin/node" };
  // An image in a registry on this machine has another digest than the original, so the name here has no digest.
  const image = isLoopback(baseRegistry)
    ? baseImageName(baseRegistry, imageTags.nodeBuild)
    : pinnedImages(baseRegistry).nodeBuild;
  return { image, node: "node" };
}

/**
 * The ports of the target pods: policies close the first one, and leave the second one open. The second one shows that the
 * target listens and that the network leads to it. Without it, a pod that can't be reached for another reason would look as if
 * a policy closed it.
 */
const [closedPort, openPort] = [8080, 8081];

/** A connection that a probe attempts, or a look-up of a name if `port` is missing. */
interface Attempt {
  host: string;
  port?: number;
  /**
   * The outcome that a correct cluster gives in the end. Network policies apply only a moment after a pod's start, so the probe
   * repeats the attempt until it has this outcome.
   */
  want: Outcome;
}

/** For how many seconds a probe repeats an attempt. */
const attemptSeconds = 30;

/**
 * The program of a probe's pod. Its arguments are a JSON list of attempts, and the number of seconds for which it repeats each
 * attempt until the attempt has the wanted outcome. Prints the last outcome of each attempt.
 *
 * An attempt that must be blocked begins only when all others are open, because a target that does not listen yet refuses
 * connections too. At the end, the program makes the other attempts again, because a target may have ended meanwhile. So a
 * refused connection comes from a network plugin that rejects what policies close.
 */
const script = `
const blocked = ["ETIMEDOUT", "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EACCES", "EPERM"];
const once = ({ host, port }) => new Promise((done) => {
  const end = (error) => done(!error ? "open" : blocked.includes(error.code) ? "blocked" : error.code);
  if (port === undefined) return require("dns").lookup(host, end);
  const socket = require("net").connect({ host, port }, () => { socket.destroy(); end(); }).on("error", end);
  socket.setTimeout(3000, () => { socket.destroy(); end({ code: "ETIMEDOUT" }); });
});
const pause = () => new Promise((done) => setTimeout(done, 500));
const [attempts, seconds] = process.argv.slice(1).map(JSON.parse);
const attempt = async (one) => {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    one.outcome = await once(one);
    if (one.outcome === one.want || Date.now() > until) return;
    await pause();
  }
};
(async () => {
  for (const want of ["open", "blocked", "open"])
    await Promise.all(attempts.filter((one) => one.want === want).map(attempt));
  console.log(JSON.stringify(attempts.map(({ outcome }) => outcome)));
  process.exit();
})();`;

/** The program of a target. It listens on the second port only after the first one, so that an open second port shows both. */
const listener = `
const listen = (port, then) => require("net").createServer((socket) => socket.end()).listen(port, then);
listen(${closedPort}, () => listen(${openPort}));`;

const roleLabel = "berth.dev/doctor";

/** What the pods of a trial have in common. */
export interface Setting {
  image: NodeImage;
  pullSecrets: string[];
  /** The nodes on which the pods run. */
  ground: Ground;
}

function podSpec({ image: { image, node }, pullSecrets, ground }: Setting, program: string, args: string[]): V1PodSpec {
  return {
    ...schedulingOf(ground),
    restartPolicy: "Never",
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 0,
    securityContext: podSecurity(10001),
    imagePullSecrets: pullSecrets.map((name) => ({ name })),
    containers: [
      {
        name: "probe",
        image,
        command: [node, "-e", program, ...args],
        resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { cpu: "500m", memory: "128Mi" } },
        securityContext: containerSecurity,
      },
    ],
  };
}

/** A pod that accepts connections at both ports. @param role `open` or `closed` */
export const target = (role: "open" | "closed", setting: Setting): V1Pod => ({
  metadata: { name: role, labels: { [roleLabel]: role } },
  spec: podSpec(setting, listener, []),
});

/**
 * A Job whose pod tries the connections of the list `attempts`, and prints their outcomes as a JSON list.
 * @param name of the Job. Jobs of the same role on different nodes have different names
 * @param seconds for which the pod repeats an attempt that does not have the wanted outcome
 */
export const probeJob = (
  name: string,
  role: "free" | "session" | "worker",
  attempts: Attempt[],
  setting: Setting,
  seconds = attemptSeconds,
): V1Job => job(name, role, podSpec(setting, script, [JSON.stringify(attempts), String(seconds)]));

const job = (name: string, role: string, spec: V1PodSpec): V1Job => ({
  metadata: { name },
  spec: {
    backoffLimit: 0,
    activeDeadlineSeconds: 180,
    template: { metadata: { labels: { [roleLabel]: role } }, spec },
  },
});

/** For each Job that probes the network: the list of the connections that its pod tries. @param addresses of the two targets */
export const attemptsOf = (addresses: { open: string; closed: string }) => ({
  free: [
    { host: addresses.closed, port: openPort, want: "open" },
    { host: addresses.closed, port: closedPort, want: "blocked" },
  ],
  session: [
    { host: addresses.open, port: openPort, want: "open" },
    { host: addresses.open, port: closedPort, want: "blocked" },
    { host: "kubernetes.default.svc", want: "open" },
  ],
  worker: [{ host: "kubernetes.default.svc", port: 443, want: "open" }],
});

/**
 * The NetworkPolicies of the probes: those of sessions and of the worker, as far as each attempt needs them. In addition, one
 * policy opens one port of the pod `open` to the pods that stand for sessions, and another one closes all other ports of the pod
 * `closed` to everybody.
 */
export function policies(config: Pick<Config, "kubernetesApi" | "network">): V1NetworkPolicy[] {
  const confined = { matchExpressions: [{ key: roleLabel, operator: "In", values: ["session", "worker"] }] };
  const named = (name: string, spec: object) => ({ metadata: { name }, spec }) as V1NetworkPolicy;
  return [
    named("deny-all", { ...denyAll, podSelector: confined }),
    named("allow-dns", { ...allowDns(config.network.dns), podSelector: confined }),
    named("api-egress", allowEgress(ofRole("worker"), toAddresses(config.kubernetesApi))),
    named("open", allowEgress(ofRole("session"), [{ to: [pods(ofRole("open"))], ports: tcp(openPort) }])),
    named("closed", allowIngress(ofRole("closed"), tcp(openPort))),
  ];
}

const ofRole = (role: string) => ({ [roleLabel]: role });

/** The specs of the CiliumNetworkPolicies that the stack has in addition, by name. Empty without `network.policies: cilium`. */
export function ciliumPolicies(config: Pick<Config, "kubernetesApi" | "network">): Record<string, CiliumSpec> {
  const { policies, dns } = config.network;
  if (policies !== "cilium") return {};
  // A policy without labels would also select the pods that must stay without policies.
  const forDns = (role: "session" | "worker") =>
    Object.entries(ciliumDns(dns, ofRole(role))).map(([name, spec]) => [`${name}-of-${role}`, spec]);
  return {
    ...Object.fromEntries([...forDns("session"), ...forDns("worker")]),
    "worker-kubernetes": toApiServers(ofRole("worker"), config.kubernetesApi),
  };
}

/** A small volume claim. @param storageClass null: the cluster's default */
export const claim = (storageClass: string | null): V1PersistentVolumeClaim => ({
  metadata: { name: "volume" },
  spec: {
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: "1Gi" } },
    ...(storageClass !== null && { storageClassName: storageClass }),
  },
});

/** A Job that writes a file to the claim's volume. */
export function writeJob(setting: Setting): V1Job {
  const spec = podSpec(setting, `require("fs").writeFileSync("/volume/written", "1")`, []);
  const [container] = spec.containers;
  if (container) container.volumeMounts = [{ name: "volume", mountPath: "/volume" }];
  return job("write", "write", {
    ...spec,
    volumes: [{ name: "volume", persistentVolumeClaim: { claimName: "volume" } }],
  });
}

/** Returns Kubernetes' text that says why a pod has not started; an empty text if the pod's status has none. */
export function reasonOf({ status }: V1Pod): string {
  const waiting = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].flatMap(
    ({ state }) => state?.waiting ?? [],
  );
  const [first] = waiting.filter(({ reason }) => reason !== "ContainerCreating" && reason !== "PodInitializing");
  if (first) return [first.reason, first.message].filter(Boolean).join(": ");
  const unscheduled = status?.conditions?.find(({ type, status }) => type === "PodScheduled" && status === "False");
  return unscheduled ? `${unscheduled.reason}: ${unscheduled.message}` : "";
}
