/** The kubelet evicts sessions. The kubelet checks the volumes only every minute or two, so this test is slow. */
import { expect, test } from "vitest";
import { admin, execIn, left, openWorker, useCluster, useOwnStores } from "../testing/cluster.ts";

const place = useOwnStores(useCluster());

test("sessions whose workspaces exceed their limit are evicted, fail and say so, whatever exit code their agents have", async () => {
  // On SIGTERM, the agent exits with the code in the file, or else with 143, as the agent image does.
  const end = 'exit "$(cat /tmp/code 2>/dev/null || echo 143)"';
  const agent = `head -c 100M /dev/zero > /home/agent/workspace/large; trap '${end}' TERM; sleep infinity & wait`;
  const { create, become } = await openWorker(place, { agent });
  const [first, second] = await Promise.all([1, 2].map(() => create({ workspaceMode: "ephemeral" })));
  if (first === undefined || second === undefined) throw new Error("two sessions are made");
  await Promise.all([first, second].map(({ id }) => become(id, "running")));
  await execIn(place.namespace, second.id, "agent", ["sh", "-c", "echo 0 > /tmp/code"]);
  for (const { id } of [first, second]) {
    expect(await become(id, "failed")).toMatchObject({
      cause: "evicted",
      reason: 'The session was evicted from its node: Usage of EmptyDir volume "workspace" exceeds the limit "64Mi".',
    });
    expect(await left(place.namespace, id)).toEqual([]);
  }
});

test("a session may fill its ephemeral workspace, although the LimitRange of its namespace allows less ephemeral storage", async () => {
  const { namespace } = place;
  const limits = [{ type: "Container", _default: { "ephemeral-storage": "20Mi" } }];
  await admin.createNamespacedLimitRange({ namespace, body: { metadata: { name: "sessions" }, spec: { limits } } });
  const { create, become, find } = await openWorker(place);
  const filled = async (workspaceMode: "ephemeral" | "persistent", folder: string) => {
    const { id } = await create({ workspaceMode });
    await become(id, "running");
    await execIn(namespace, id, "agent", ["sh", "-c", `head -c 50M /dev/zero > ${folder}/large`]);
    return id;
  };
  const id = await filled("ephemeral", "/home/agent/workspace");
  // The kubelet has checked all pods between the evictions of two sessions that started one after the other.
  for (let round = 0; round < 2; round += 1)
    expect(await become(await filled("persistent", "/tmp"), "failed")).toMatchObject({ cause: "evicted" });
  expect(await find(id)).toMatchObject({ state: "running" });
});
