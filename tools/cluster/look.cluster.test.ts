/**
 * Reads the local cluster with `lookAt`, and compares the result with the fixture `local` that the tests of `npm run init`
 * use.
 */
import { expect, test, vi } from "vitest";
import { parse } from "yaml";
import { machine } from "../../machine/machine.ts";
import { lookAt } from "./look.ts";
import { stackFile } from "./stack-file.ts";
import { local } from "./testing.ts";

const { context, kubeconfig, nodeIp } = machine;

test("the look at the local cluster finds what the fixture says, and the file follows from it", async () => {
  vi.stubEnv("KUBECONFIG", kubeconfig);
  const seen = await lookAt({ context });
  expect(seen.unread).toEqual([]);
  expect(seen.id).toMatch(/^[0-9a-f-]{36}$/);
  expect(seen.version).toMatch(/^v1\.\d+\./);
  expect(seen.nodes).toEqual([
    {
      ...local.nodes[0],
      name: expect.any(String),
      addresses: [nodeIp],
      labels: expect.any(Object),
      cpus: expect.any(Number),
      architecture: expect.stringMatching(/^(amd|arm)64$/),
    },
  ]);
  expect(seen.storageClasses).toEqual(local.storageClasses);
  expect(seen.dnsPods.length).toBeGreaterThan(0);
  expect(seen.apiServers).toEqual([{ address: nodeIp, port: 6443 }]);
  expect(seen.apis).toContainEqual({ name: "v1.apps", group: "apps", service: null });
  expect(seen).toMatchObject({ clusterIssuers: null, localRegistry: null });
  const { config } = parse(stackFile(seen, { stack: "mine", context }));
  expect(config).toMatchObject({ "berth:context": context, "berth:clusterId": seen.id, "berth:requestScale": 0.2 });
});
