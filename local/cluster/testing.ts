/**
 * Gives a test of the running cluster its own namespace. The namespace is empty at first, and the test starts pods in it. After
 * the test, the namespace is removed with everything in it.
 */
import { randomBytes } from "node:crypto";
import { patience } from "@berth/testing/until.ts";
import { stringify } from "yaml";
import { machine } from "../../machine/machine.ts";
import { kubectl } from "./kubectl.ts";

const { registry } = machine;

/**
 * Runs `kubectl wait`. Throws if the deadline passes.
 * @param condition for example condition=Ready
 * @param seconds the deadline for a machine without other load; the real deadline is `patience` times as long, as in `until`
 * @param what the objects, and further arguments of kubectl
 */
export const kubectlWait = (condition: string, seconds: number, ...what: string[]): Promise<string> =>
  kubectl(["wait", `--for=${condition}`, `--timeout=${seconds * patience}s`, ...what]);

/** A namespace that is removed at the end of its scope: `await using ns = await TestNamespace.create()`. */
export class TestNamespace {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  static async create(): Promise<TestNamespace> {
    const name = `test-${randomBytes(4).toString("hex")}`;
    await kubectl(["create", "namespace", name]);
    // Pods can't be created before this service account exists.
    await kubectlWait("create", 60, "-n", name, "serviceaccount/default");
    return new TestNamespace(name);
  }

  /** Creates the objects in the namespace. The API server adds default values for missing fields. */
  async apply(...objects: object[]): Promise<void> {
    await kubectl(
      ["-n", this.name, "apply", "--server-side", "-f", "-"],
      objects.map((o) => stringify(o)).join("---\n"),
    );
  }

  /**
   * Starts pods, each of which runs a script for Node.js, and waits until the pods are ready. Returns the pods' addresses by
   * name.
   */
  async startPods(pods: { name: string; script: string; ports?: { name: string; containerPort: number }[] }[]) {
    await this.apply(...pods.map(nodePod));
    const names = pods.map(({ name }) => `pod/${name}`);
    await kubectlWait("condition=Ready", 120, "-n", this.name, ...names);
    const path = "{range .items[*]}{.metadata.name}={.status.podIP} {end}";
    const addresses = await kubectl(["-n", this.name, "get", "pods", "-o", `jsonpath=${path}`]);
    return new Map(addresses.split(" ").map((pair) => pair.split("=") as [string, string]));
  }

  /** How a TCP connection from the pod ends: "connected", an error code such as ECONNREFUSED, or "timeout" after 2 s. */
  connect(pod: string, address: string, port: number): Promise<string> {
    const script = `const s = require("net").connect(${port}, "${address}")
      const done = (result) => { console.log(result); process.exit() }
      s.on("connect", () => done("connected")).on("error", (e) => done(e.code))
        // if the process got no CPU time for 2 s, an answer may wait unread, so the process reads first
        .setTimeout(2000, () => setImmediate(() => done("timeout")))`;
    return this.run(pod, script);
  }

  /** Runs a script for Node.js in the pod and returns what the script prints. */
  run(pod: string, script: string): Promise<string> {
    return kubectl(["-n", this.name, "exec", pod, "--", "node", "-e", script]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // kubectl does not wait, because the cluster needs time to empty the namespace, and nobody else uses the namespace.
    await kubectl(["delete", "namespace", this.name, "--wait=false"]);
  }
}

function nodePod({ name, script, ports = [] }: { name: string; script: string; ports?: object[] }) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { name } },
    spec: {
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      containers: [
        {
          name: "node",
          image: `${registry}/docker.io/library/node:24-bookworm-slim`,
          command: ["node", "-e", script],
          ports,
        },
      ],
    },
  };
}
