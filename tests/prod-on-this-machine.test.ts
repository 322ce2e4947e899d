import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { parse } from "yaml";
import { recordStack } from "../infra/testing/record.ts";
import { root } from "../machine/machine.ts";
import { prodOnThisMachine } from "./prod-on-this-machine.ts";

/** The kinds of Berth's objects that a cluster knows only with a CustomResourceDefinition. The local cluster has none. */
const customKinds = ["CiliumNetworkPolicy", "HTTPRoute", "Middleware", "ScaledObject"];

test("prod's config for the local cluster makes an Ingress, and only objects that the local cluster knows", async () => {
  // Without this, the providers would use these variables as settings of the stack.
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
  const { config } = parse(readFileSync(join(root, "Pulumi.dev.yaml"), "utf8"));
  const changes = Object.entries(prodOnThisMachine(config)).flatMap(([key, value]) =>
    key.startsWith("berth:") ? [[key.slice("berth:".length), value]] : [],
  );
  const resources = await recordStack("prod", Object.fromEntries(changes));
  const kinds = new Set(resources.map(({ type }) => type.split(":").at(-1)));
  expect(kinds).toContain("Ingress");
  expect(customKinds.filter((kind) => kinds.has(kind))).toEqual([]);
});
