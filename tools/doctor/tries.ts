/** The parts of checks that need a cluster, as interfaces, so that tests can replace them. */
import type { Facts } from "./facts.ts";
import type { NeededVolume } from "./grounds.ts";

/** The result of an attempt from inside a pod: `open`, `blocked`, or an error's code such as ENOTFOUND. */
export type Outcome = string;

/** What the probe with the policies of a session found on some nodes. */
export interface ProbedSessions {
  /** Whose nodes these are, for example `the sessions of acme`. */
  of: string;
  /** The outcome of a connection from a pod with the policies of a session to a port of another pod, which a policy opens. */
  toOpen: Outcome;
  /** The outcome of a connection from there to another port of the same pod, which no policy opens. */
  toClosed: Outcome;
  /** The outcome of a look-up of `kubernetes.default.svc` from a pod with the policies of a session. */
  dns: Outcome;
}

/** What the probes in the cluster found. */
export interface Probed {
  /** The outcome of a connection from a pod without policies to a port of another pod, the only one that its policy opens. */
  freeToOpen: Outcome;
  /** The outcome of a connection from there to another port of the same pod. */
  freeToClosed: Outcome;
  /** One entry for each group of nodes on which sessions run. */
  sessions: ProbedSessions[];
  /** The outcome of a connection from a pod with the policies of the worker to the API server's Service. */
  workerToApi: Outcome;
}

/** A Deployment or StatefulSet of the platform. */
export interface Workload {
  /** The kind and the name, for example `Deployment api`. */
  name: string;
  ready: number;
  wanted: number;
  /** Why a pod is not ready, for example `ImagePullBackOff: …`; empty if Kubernetes gives no reason. */
  reason: string;
}

export interface Scaler {
  name: string;
  /** Whether the autoscaler gets its metrics. */
  isActive: boolean;
  /** The autoscaler's own message about its metrics. */
  message: string;
}

/** The result of a trial session. */
export interface SessionTrial {
  id: string;
  /** Seconds from the call to the state `running`. */
  seconds: number;
  /** Width and height of the desktop in pixels, as the desktop itself says. */
  desktop: [number, number];
  /** Until when the session's workspace is kept (ISO 8601). Null: the workspace is deleted. */
  keptUntil: string | null;
}

/**
 * A method that makes objects in the cluster deletes them again. If a method fails, it throws an Error that says what went wrong.
 * The methods `docker` and `status` throw no Error: their results say whether there was an answer.
 */
export interface Tries {
  /** Whether Docker answers on this machine. */
  docker(): Promise<boolean>;
  /** Returns what the cluster has of what the config needs. Only the first call looks it up. */
  facts(): Promise<Facts>;
  probe(): Promise<Probed>;
  /** Makes a volume of the StorageClass, mounts it in a pod on one of the nodes, and writes a file. */
  bind(volume: NeededVolume): Promise<void>;
  /** How many nodes metrics.k8s.io has measurements of. */
  measuredNodes(): Promise<number>;
  workloads(): Promise<Workload[]>;
  /** Waits until every autoscaler has its metrics. After an autoscaler is made, that takes up to two minutes. */
  scalers(): Promise<void>;
  /** Waits until every image puller exists and has pulled its images to its nodes. Reads each puller's pods once a second. */
  images(): Promise<void>;
  /** Starts a session, reads its desktop's size, and ends the session. @param key a tenant's API key */
  session(key: string): Promise<SessionTrial>;
  /** The HTTP status of the address; undefined if it can't be reached from this machine. */
  status(url: string): Promise<number | undefined>;
}
