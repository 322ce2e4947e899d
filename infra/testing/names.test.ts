/** Tests that two stacks can share a cluster. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test, vi } from "vitest";
import { type RecordedResource, recordStack } from "./record.ts";

interface KubernetesObject {
  kind: string;
  metadata: { name: string; namespace?: string };
}

/** The objects in the cluster, each by kind, namespace and name. */
const objectsOf = (resources: RecordedResource[]) =>
  resources
    .filter(({ read }) => !read)
    .map(({ inputs }) => inputs as Partial<KubernetesObject>)
    .flatMap(({ kind, metadata }) =>
      kind === undefined || metadata === undefined ? [] : [`${kind} ${metadata.namespace ?? ""}/${metadata.name}`],
    );

const golden: RecordedResource[] = JSON.parse(
  readFileSync(new URL("../testdata/prod.golden.json", import.meta.url), "utf8"),
);
let second: RecordedResource[];

beforeAll(async () => {
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
  second = await recordStack("prod", {
    namespace: "staging",
    tenantPrefix: "staging-",
    priorityClasses: {
      platform: { name: "staging-platform" },
      imagePullers: { name: "staging-image-puller" },
      sessions: { name: "staging-sessions" },
    },
    autoscaler: "off",
  });
});

test("a second stack with its own names shares no object with the first one", () => {
  const first = new Set(objectsOf(golden));
  expect(first.size).toBeGreaterThan(50);
  expect(objectsOf(second).filter((object) => first.has(object))).toEqual([]);
});

test("nothing in the second stack refers to the namespaces or classes of the first one", () => {
  const text = JSON.stringify(second.map(({ inputs }) => inputs));
  expect(text).toContain("http://api.staging.svc");
  const first =
    /\b(api|gateway|prometheus)\.berth\b|"(namespace|kubernetes\.io\/metadata\.name)":"berth"|\btenant-(acme|\.)|"berth-(platform|sessions|image)/g;
  expect(text.match(first)).toBeNull();
});
