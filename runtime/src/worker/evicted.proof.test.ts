/** The kubelet evicts a session. It looks at the volumes once in a minute or two, so this takes long. */
import { expect, test } from "vitest";
import { left, openWorker, useCluster, useOwnStores } from "../testing/cluster.ts";

const place = useOwnStores(useCluster());

test("a session whose workspace grows past its limit is evicted, fails and says so", async () => {
  // Exits on SIGTERM as the agent image does.
  const agent = "head -c 100M /dev/zero > /home/agent/workspace/large; trap 'exit 143' TERM; sleep infinity & wait";
  const { create, become } = await openWorker(place, { agent });
  const { id } = await create({ workspaceMode: "ephemeral" });
  await become(id, "running");
  expect(await become(id, "failed")).toMatchObject({
    cause: "evicted",
    reason: 'The session was evicted from its node: Usage of EmptyDir volume "workspace" exceeds the limit "64Mi".',
  });
  expect(await left(place.namespace, id)).toEqual([]);
});
