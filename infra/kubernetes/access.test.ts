/** Tests how the program finds the stack's cluster, and that it refuses another cluster before it makes anything. */
import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type RecordedResource, recordStack } from "../testing/record.ts";
import { clusterAccess, providerOf, refuseOtherCluster } from "./access.ts";
import { cluster, configOf } from "./cluster.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const [own, other] = ["3f1c9a52-7c1e-4d55-9a31-0d6f4b1f0a11", "9d0e2b6e-2d0a-4a3f-8c58-5b8e6f0c7722"];
const kubeconfig = JSON.stringify({
  clusters: [{ name: "c", cluster: { server: "https://192.0.2.1" } }],
  contexts: [{ name: "one", context: { cluster: "c", user: "u" } }],
  users: [{ name: "u", user: { token: "hunter2" } }],
  "current-context": "one",
});

describe("clusterAccess()", () => {
  test("a kubeconfig in the config replaces the user's; without one, the access has only the context", async () => {
    expect(await clusterAccess({ context: "one", kubeconfig: null })).toEqual({ context: "one" });
    expect(await clusterAccess({ context: "", kubeconfig })).toEqual({ context: "", kubeconfig });
  });

  /** The access if the stack `acme/clusters/prod` has these outputs. */
  async function accessBy(outputs: Record<string, unknown>, secretOutputNames: string[] = []) {
    await pulumi.runtime.setMocks({
      newResource: ({ inputs }) => ({ id: "made", state: { ...inputs, outputs, secretOutputNames } }),
      call: () => ({}),
    });
    return clusterAccess({ context: "", kubeconfig: { stack: "acme/clusters/prod", output: "kubeconfig" } });
  }

  test("another stack's output may be a text or an object, and may be secret", async () => {
    expect(await accessBy({ kubeconfig })).toEqual({ context: "", kubeconfig });
    const access = await accessBy({ kubeconfig: JSON.parse(kubeconfig) }, ["kubeconfig"]);
    expect(JSON.parse(access.kubeconfig ?? "")).toEqual(JSON.parse(kubeconfig));
  });

  test("if the output is missing, the program ends with an error that names the stack and the output", async () => {
    await expect(accessBy({ other: 1 })).rejects.toThrow(
      /^kubeconfig: the stack acme\/clusters\/prod has no output kubeconfig\. Nothing was changed\./,
    );
  });
});

describe("configOf()", () => {
  test("an empty context means the kubeconfig's current one, and an unknown context is refused", () => {
    expect(configOf({ context: "", kubeconfig }).getCurrentContext()).toBe("one");
    expect(() => configOf({ context: "two", kubeconfig })).toThrow("the kubeconfig has no context two; it has one");
  });

  test("the error for an invalid kubeconfig shows nothing of it", () => {
    expect(() => configOf({ context: "", kubeconfig: "token: [hunter2" })).toThrow(
      /^the kubeconfig is not valid YAML$/,
    );
  });
});

describe("refuseOtherCluster()", () => {
  test("without `clusterId` no cluster is asked", async () => {
    const identify = vi.spyOn(cluster, "identify").mockResolvedValue(other);
    await refuseOtherCluster({ context: "one" }, { clusterId: null });
    expect(identify).not.toHaveBeenCalled();
  });

  test("the cluster with that UID passes, every other one is refused with both UIDs", async () => {
    vi.spyOn(cluster, "identify").mockResolvedValue(own);
    await refuseOtherCluster({ context: "one" }, { clusterId: own });
    await expect(refuseOtherCluster({ context: "one" }, { clusterId: other })).rejects.toThrow(
      `clusterId: the context one leads to the cluster ${own}, and this stack belongs to the cluster ${other}. Nothing was changed.`,
    );
  });

  test("a cluster that can't be identified is refused", async () => {
    vi.spyOn(cluster, "identify").mockRejectedValue(new Error("the API server answers HTTP 403"));
    await expect(refuseOtherCluster({ context: "", kubeconfig }, { clusterId: own })).rejects.toThrow(
      "clusterId: Berth compares `clusterId` with the UID of the namespace kube-system, but can't read this UID with the kubeconfig's current context: the API server answers HTTP 403. Nothing was changed.",
    );
  });
});

test("`clusterId` changes nothing of what identifies an existing stack's provider", () => {
  expect(providerOf({ context: "one" }, { clusterId: null })).toEqual({
    args: { context: "one", clusterIdentifier: "one" },
    options: {},
  });
  expect(providerOf({ context: "one" }, { clusterId: own })).toEqual({
    args: { context: "one", clusterIdentifier: "one" },
    options: { ignoreChanges: ["clusterIdentifier"] },
  });
  expect(providerOf({ context: "", kubeconfig }, { clusterId: own }).args).toMatchObject({ clusterIdentifier: own });
});

describe("the program", () => {
  const providers = (resources: RecordedResource[]) =>
    resources.filter(({ type }) => type === "pulumi:providers:kubernetes").map(({ inputs }) => inputs);

  test("asks for the cluster's identity before it makes any resource", async () => {
    vi.resetModules(); // the program runs on import
    for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
    const later = new Set<string>();
    const asks = vi.fn(async () => {
      pulumi.runtime.registerStackTransformation(({ type, name }) => {
        later.add(`${type} ${name}`);
        return undefined;
      });
    });
    vi.doMock("./access.ts", async (original) => ({ ...(await original<object>()), refuseOtherCluster: asks }));
    const resources = await recordStack("prod", { clusterId: own });
    expect(asks).toHaveBeenCalledExactlyOnceWith(
      { context: "berth-prod" },
      expect.objectContaining({ clusterId: own }),
    );
    const before = resources.map(({ type, name }) => `${type} ${name}`).filter((resource) => !later.has(resource));
    expect(before).toEqual(["pulumi:pulumi:StackReference last-up"]);
    vi.doUnmock("./access.ts");
  });

  test("both providers use the config's kubeconfig, as a secret", async () => {
    vi.resetModules();
    for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
    const found = providers(await recordStack("prod", { context: "one", kubeconfig }));
    const secret = { "4dabf18193072939515e22adb298388d": expect.any(String), value: kubeconfig };
    expect(found).toMatchObject([
      { context: "one", kubeconfig: secret },
      { context: "one", kubeconfig: secret },
    ]);
  });
});
