import * as pulumi from "@pulumi/pulumi";
import { expect, test } from "vitest";
import { identify } from "./record.ts";
import { keptOf, lost, type Made } from "./upgrade.ts";

const set: Made = {
  urn: "urn:pulumi:prod::berth::berth:index:Postgres$kubernetes:apps/v1:StatefulSet::postgres",
  formerUrns: [],
  type: "kubernetes:apps/v1:StatefulSet",
  inputs: {
    metadata: { name: "postgres", namespace: "berth", labels: { a: "1" } },
    spec: { serviceName: "postgres", selector: { matchLabels: { a: "1" } }, template: { spec: {} } },
  },
};
const password: Made = {
  urn: "urn:pulumi:prod::berth::berth:index:Tenant$random:index/randomPassword:RandomPassword::acme-key",
  formerUrns: [],
  type: "random:index/randomPassword:RandomPassword",
  inputs: { length: 32, special: false },
};
const kept = keptOf([set, password, { ...set, urn: "urn:config", type: "kubernetes:core/v1:ConfigMap" }]);

/** The StatefulSet with changed inputs. */
const changed = (inputs: { metadata?: object; spec?: object }): Made => {
  const { metadata, spec } = set.inputs as { metadata: object; spec: object };
  return {
    ...set,
    inputs: { metadata: { ...metadata, ...inputs.metadata }, spec: { ...spec, ...inputs.spec } },
  };
};

test("a resource that changes in place is kept", () => {
  const next = changed({ metadata: { labels: { a: "2" } }, spec: { template: { spec: { containers: [] } } } });
  expect(lost(kept, [next, password])).toEqual([]);
});

test("lost() reports resources that would be deleted or replaced", () => {
  expect(lost(kept, [set])).toEqual([`${password.urn} would be deleted; if the resource has a new name, add an alias`]);
  const replaced = (field: string) => [`${set.urn} would be replaced, because ${field} has changed`];
  const next = changed({ spec: { selector: { matchLabels: { a: "2" } } } });
  expect(lost(kept, [next, password])).toEqual(replaced("spec.selector"));
  const moved = changed({ metadata: { namespace: "berth-2" } });
  expect(lost(kept, [moved, password])).toEqual(replaced("metadata.namespace"));
  const longer = { ...password, inputs: { length: 48, special: false } };
  expect(lost(kept, [set, longer])).toEqual([`${password.urn} would be replaced, because length has changed`]);
});

test("the former URNs contain the alias of a resource and the aliases of its parent", async () => {
  await pulumi.runtime.setMocks({ newResource: ({ name, inputs }) => ({ id: name, state: inputs }), call: () => ({}) });
  const urns: Promise<Awaited<ReturnType<typeof identify>>>[] = [];
  class Component extends pulumi.ComponentResource {}
  class Resource extends pulumi.CustomResource {}
  await pulumi.runtime.runInPulumiStack(async () => {
    pulumi.runtime.registerStackTransformation((args) => {
      if (args.type === "kubernetes:apps/v1:StatefulSet") queueMicrotask(() => urns.push(identify(args)));
      return undefined;
    });
    const component = new Component(
      "berth:index:Database",
      "database",
      {},
      { aliases: [{ type: "berth:index:Postgres" }] },
    );
    new Resource("kubernetes:apps/v1:StatefulSet", "postgres", {}, { parent: component });
  });
  const [identity] = await Promise.all(urns);
  expect(identity?.urn).toMatch(/::berth:index:Database\$kubernetes:apps\/v1:StatefulSet::postgres$/);
  expect(identity?.formerUrns).toEqual([identity?.urn.replace("Database", "Postgres")]);
});
