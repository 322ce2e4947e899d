/**
 * Sessions on a real cluster with images that were not made for Berth: berthd comes from the platform's image and
 * talks to a real in-pod channel. The pods are unchanged except for small resources.
 */
import { randomUUID } from "node:crypto";
import { until } from "@berth/testing/until.ts";
import type { V1PodSpec } from "@kubernetes/client-node";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { stackOutputs } from "../../../local/pulumi/stack.ts";
import { machine } from "../../../machine/machine.ts";
import { createChannel } from "../channel/channel.ts";
import { objectName } from "../cluster/names.ts";
import { ownerReference, podFor, secretFor } from "../cluster/podSpec/podSpec.ts";
import { TokenKeys } from "../config/tokenKeys.ts";
import { podAmounts } from "../domain/quota/quantities.ts";
import { quantityValue } from "../domain/quota/quantity.ts";
import type { BerthdVolume } from "../domain/sessionImages.ts";
import type { NewSession } from "../store/newSession.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { admin, audit, getPod, left, openWorker, useCluster } from "../testing/cluster.ts";
import { session, silent } from "../testing/fixtures.ts";
import { baseTag, testImages } from "../testing/images.ts";
import { freePorts } from "../testing/ports.ts";

const place = useCluster();
const { namespace } = place;
/** The namespace for the quota test, so that the quota counts nothing else. */
const counting = useCluster().namespace;

/** Prints a line and waits for SIGTERM, as the only program of an image without a shell. */
const program = `package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM)
	fmt.Println("the program runs as", os.Getuid(), "with", os.Args[1:])
	if len(os.Args) == 1 {
		<-ends
	}
}
`;

const { machineIp } = machine;
const goDockerfile = (golang: string) => `FROM ${golang} AS build
COPY main.go /
RUN CGO_ENABLED=0 go build -o /program /main.go
FROM scratch
COPY --from=build /program /program
ENTRYPOINT ["/program"]
`;

const references: Record<"berthd" | "debian" | "node" | "python" | "go" | "desktop", string> = {
  berthd: "",
  debian: "",
  node: "",
  python: "",
  go: "",
  desktop: "",
};

beforeAll(async () => {
  const { original, built, berthd } = testImages();
  const golang = baseTag("golang");
  const debian = await original(baseTag("debian"));
  // Only root may enter this image's working directory, as in some images.
  const python = `FROM ${debian}\nRUN apt-get update -q && apt-get install -qy --no-install-recommends python3-minimal\nWORKDIR /root\n`;
  Object.assign(references, {
    debian,
    node: await original(baseTag("node")),
    python: await built("python", python),
    go: await built("go", goDockerfile(await original(golang)), { "main.go": program }),
    berthd: await berthd(golang),
    desktop: (await stackOutputs("dev")).agentImage,
  });
});

/** A worker whose pods run their own programs, with a channel that the pods reach. */
async function open(
  images: (Partial<Images[number]> & Pick<Images[number], "name" | "image">)[],
  berthdVolume: BerthdVolume = "copy",
) {
  const [port = 0] = await freePorts(1);
  const sessionUrl = `http://${machineIp}:${port}`;
  const all = images.map((image) => ({ ...defaults, ...image }));
  const own = { berthd: references.berthd, berthdVolume, sessionUrl };
  const worker = await openWorker(place, { tenant: { images: all }, own });
  const channel = createChannel({
    tokenKeys: TokenKeys.one(tokenKey),
    queries: worker.records.queries,
    tasks: worker.records.tasks,
    reports: worker.records.reports,
    queue: worker.queue,
    owners: { until: async () => {}, end: () => {} },
    tenants: { all: () => [worker.acme] },
    metrics: new Metrics(),
    logger: silent,
  });
  await channel.listen({ host: "0.0.0.0", port });
  onTestFinished(() => channel.close());
  return {
    ...worker,
    /** A session with the image of this name, which runs this command. */
    start: (image: string, command: string[] | null = null, more: Partial<NewSession> = {}) =>
      worker.create({
        image,
        desktop: all.find(({ name }) => name === image)?.desktop ?? false,
        task: { command, env: {}, secrets: {} },
        workspaceMode: "ephemeral",
        ...more,
      }),
    /** Waits until the log of the session's agent contains the text. Returns the log. */
    says: (id: string, text: string) =>
      until(
        `session ${id} says ${text}`,
        120,
        () => admin.readNamespacedPodLog({ namespace, name: objectName(id), container: "agent" }),
        (log) => log.includes(text),
      ),
  };
}

type Images = (typeof place.acme)["images"];
const tokenKey = "0123456789abcdef0123456789abcdef";
const defaults: Omit<Images[number], "name" | "image"> = {
  desktop: false,
  command: null,
  writableRoot: false,
  warmPools: { small: 0, medium: 0, large: 0 },
};

const programs = [
  [
    "debian",
    ["sh", "-c", "echo at home in $HOME as $(id -u); sleep infinity"],
    "at home in /home/agent/workspace as 10001",
  ],
  ["node", ["node", "-e", "console.log('six times seven:', 6 * 7); setInterval(() => {}, 1e6)"], "six times seven: 42"],
  ["python", ["python3", "-c", "import time; print('six times', 7, flush=True); time.sleep(1e6)"], "six times 7"],
  ["go", ["/program"], "the program runs as 10001 with []"],
] as const;

test.each(programs)("an unmodified image runs as a session without a desktop: %s", async (image, command, text) => {
  const { start, become, says, stop, database } = await open([{ name: image, image: references[image] }]);
  const { id } = await start(image, [...command]);
  expect(await become(id, "running")).toMatchObject({ image, desktop: false });
  await says(id, text);
  const { spec } = await getPod(namespace, id);
  expect(spec?.containers.map((container) => container.image)).toEqual([references[image]]);
  expect(spec?.initContainers?.map(({ name }) => name)).toEqual(["copy-berthd"]);
  await stop(id);
  expect((await become(id, "stopped")).cause).toBe("user");
  expect(await left(namespace, id)).toEqual([]);
  expect(await audit(database, namespace)).toEqual([]);
});

test("Berth's own desktop image, of any version, gets the platform's berthd if a tenant's config names the image", async () => {
  const { start, become, says, stop } = await open([{ name: "desktop", image: references.desktop, desktop: true }]);
  const { id } = await start("desktop", ["sh", "-c", "echo PID 1 is $(tr '\\0' ' ' </proc/1/cmdline); sleep infinity"]);
  // The pod's startup probe checks whether the desktop is shown and vnc-proxy listens.
  expect(await become(id, "running")).toMatchObject({ desktop: true });
  await says(id, "PID 1 is /opt/berth/bin/berthd session");
  await stop(id);
  await become(id, "stopped");
});

test("an image's entry point runs only if the command says so, and its end is the session's end", async () => {
  const { start, become, says } = await open([{ name: "go", image: references.go }]);
  const silentOne = await start("go");
  await become(silentOne.id, "running");
  expect(await says(silentOne.id, "services at port")).not.toContain("the program runs");
  const ending = await start("go", ["/program", "once"]);
  expect(await become(ending.id, "stopped")).toMatchObject({ cause: "agent-exit" });
});

test("the image's own files can be changed only with writableRoot, and berthd never", async () => {
  const image = references.debian;
  const { start, become, says } = await open([
    { name: "fixed", image },
    { name: "writable", image, writableRoot: true },
  ]);
  const command = [
    "sh",
    "-c",
    "for file in /var/tmp/file /opt/berth/bin/file $HOME/file; do touch $file && echo wrote $file; done; echo done; sleep infinity",
  ];
  const [fixed, writable] = [await start("fixed", command), await start("writable", command)];
  for (const { id } of [fixed, writable]) await become(id, "running");
  const wrote = async (id: string) => [...(await says(id, "done")).matchAll(/^wrote (.*)$/gm)].map(([, file]) => file);
  expect(await wrote(fixed.id)).toEqual(["/home/agent/workspace/file"]);
  expect(await wrote(writable.id)).toEqual(["/var/tmp/file", "/home/agent/workspace/file"]);
});

test("a program of any image reports its progress with berth-progress", async () => {
  const { start, become, find } = await open([{ name: "debian", image: references.debian }]);
  const { id } = await start("debian", ["sh", "-c", "berth-progress 'Half way' 50; sleep infinity"]);
  await become(id, "running");
  const working = await until(
    "the session shows its progress",
    60,
    () => find(id),
    (now) => now?.progress !== null,
  );
  expect(working?.progress).toEqual({ message: "Half way", percent: 50 });
});

// The next test needs a cluster without image volumes. The test cluster is one: its feature gate ImageVolume is off (the
// default), and its container runtime can't mount images.
test("where the cluster leaves image volumes out of pods, the session fails with a reason that names the key", async () => {
  const { start, become } = await open([{ name: "debian", image: references.debian }], "image");
  const { id } = await start("debian");
  const { cause, reason } = await become(id, "failed");
  expect([cause, reason]).toEqual(["rejected", expect.stringMatching(/set images\.berthdVolume to copy/)]);
  expect(await left(namespace, id)).toEqual([]);
});

test("a session whose image is removed from the config starts again once the config has the image again", async () => {
  const { start, become, suspend, resume, untilReason, tenants, changed, acme } = await open([
    { name: "debian", image: references.debian },
  ]);
  const { id } = await start("debian", null, { workspaceMode: "persistent" });
  await become(id, "running");
  await suspend(id);
  await become(id, "suspended");
  tenants.set("acme", { ...acme, images: [] });
  await resume(id);
  await untilReason(id, /^Waiting for the image debian, which the config of acme does not have any more$/);
  tenants.set("acme", acme);
  changed();
  await become(id, "running");
});

/** The CPU and memory that a ResourceQuota counts. */
const amountsIn = (used: Record<string, string>) => ({
  requestsCpu: quantityValue(used["requests.cpu"] ?? ""),
  limitsCpu: quantityValue(used["limits.cpu"] ?? ""),
  requestsMemory: quantityValue(used["requests.memory"] ?? ""),
  limitsMemory: quantityValue(used["limits.memory"] ?? ""),
});

test.each([
  { desktop: true, hasBerthd: true },
  { desktop: true, hasBerthd: false },
  { desktop: false, hasBerthd: false },
])("what a session counts is what Kubernetes counts of its pod: %j", async ({ desktop, hasBerthd }) => {
  const where = { namespace: counting, name: "counted" };
  const one = session({ id: randomUUID(), namespace: counting, desktop, workspaceMode: "ephemeral" });
  const pod = { namespace: counting, name: objectName(one.id) };
  const hard = {
    "requests.cpu": "1k",
    "limits.cpu": "1k",
    "requests.memory": "1Ti",
    "limits.memory": "1Ti",
    pods: "9",
  };
  await admin.createNamespacedResourceQuota({
    namespace: counting,
    body: { metadata: { name: where.name }, spec: { hard } },
  });
  onTestFinished(async () => {
    // Deletes the pod first. After the Secret's deletion, the garbage collector could delete the pod before this call.
    await admin.deleteNamespacedPod({ ...pod, gracePeriodSeconds: 0 });
    await admin.deleteNamespacedSecret(pod);
    await admin.deleteNamespacedResourceQuota(where);
  });
  const body = secretFor(one, { proxy: "proxy", session: "session" });
  const secret = await admin.createNamespacedSecret({ namespace: counting, body });
  const owner = ownerReference(one, secret.metadata?.uid ?? "");
  const image = { reference: references.debian, hasBerthd, writableRoot: false };
  const { berthd } = references;
  const settings = { image, berthd, berthdVolume: "copy", sessionUrl: "http://127.0.0.1:1" } as const;
  const made = podFor(one, place.acme, owner, settings);
  // No node has this label, so the pod is never started and uses no resources.
  const spec = { ...(made.spec as V1PodSpec), nodeSelector: { "berth.dev/no-such-node": "true" } };
  const countedPods = (wanted: string) =>
    until(
      `the quota counts ${wanted} pods`,
      60,
      async () => (await admin.readNamespacedResourceQuota(where)).status?.used ?? {},
      ({ pods }) => pods === wanted,
    );
  await countedPods("0");
  await admin.createNamespacedPod({ namespace: counting, body: { ...made, spec } });
  const { requestsCpu, limitsCpu, requestsMemory, limitsMemory } = podAmounts(one);
  expect(amountsIn(await countedPods("1"))).toEqual({ requestsCpu, limitsCpu, requestsMemory, limitsMemory });
});
