import { expect, it } from "vitest";
import { machineOf } from "./machine.ts";

it("is moved as a whole by a few variables", () => {
  const moved = machineOf(
    { BERTH_NAME: "other", BERTH_NETWORK: "172.31.0.0/16", BERTH_REGISTRY_PORT: "5001", NO_PROXY: "example.com" },
    true,
    "/root",
  );
  expect(moved).toMatchObject({
    stateDir: "/var/lib/other",
    dockerSocket: "/run/other/docker.sock",
    kubeconfig: "/var/lib/other/kubeconfig",
    cacheDir: "/root/.cache/berth",
    nodeIp: "172.31.0.1",
    registry: "127.0.0.1:5001",
    noProxy: "example.com,localhost,127.0.0.1,172.31.0.1,172.31.0.0/16",
  });
});

it("is in the home of a user who is not root", () => {
  expect(machineOf({}, false, "/home/me")).toMatchObject({ stateDir: "/home/me/.local/share/berth" });
});

it.each([
  ["BERTH_NAME", "9", /^BERTH_NAME is 9: set it to/],
  ["BERTH_NETWORK", "10.0.0.0/8", /for example 10\.200\.0\.0\/16/],
  ["BERTH_CLUSTER_DOMAIN", "Corp!", /^BERTH_CLUSTER_DOMAIN is Corp!: set it to/],
  ["BERTH_API_PORT", "80", /set it to a port from 30000 to 32767/],
])("refuses a wrong %s", (variable, value, sentence) => {
  expect(() => machineOf({ [variable]: value }, true, "/root")).toThrow(sentence);
});
