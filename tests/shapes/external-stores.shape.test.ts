/** Postgres and Redis are not part of the stack: they run in another namespace, and the config names their Secrets and pods. */
import { randomBytes } from "node:crypto";
import { patience } from "@berth/testing/until.ts";
import { expect } from "vitest";
import { stringify } from "yaml";
import { imageTags } from "../../infra/images/base-images/pinned.ts";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { localName } from "../../local/images/registry.ts";
import { testShape } from "./shape.ts";

const namespace = "stores";
const password = randomBytes(12).toString("hex");

interface Store {
  name: string;
  image: string;
  port: number;
  args?: string[];
  env?: { name: string; value: string }[];
  /** Further keys of the Secret with the connection. */
  keys?: Record<string, string>;
}

const stores: Store[] = [
  {
    name: "postgres",
    image: localName(imageTags.postgres),
    port: 5432,
    env: [
      { name: "POSTGRES_USER", value: "sessions" },
      { name: "POSTGRES_DB", value: "sessions" },
      { name: "POSTGRES_PASSWORD", value: password },
    ],
    keys: { database: "sessions", user: "sessions" },
  },
  {
    name: "redis",
    image: localName(imageTags.redis),
    port: 6379,
    args: ["redis-server", "--requirepass", password, "--maxmemory-policy", "noeviction", "--save", ""],
  },
];

/**
 * A Deployment and a Service of the store, in the stores' namespace. The Secret with the data to connect to the store is in the
 * platform's namespace.
 */
function objects({ name, image, port, args, env, keys }: Store): object[] {
  const labels = { app: name };
  const container = { name, image, ports: [{ containerPort: port }], ...(args && { args }), ...(env && { env }) };
  return [
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [container] } },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace },
      spec: { selector: labels, ports: [{ port }] },
    },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: `external-${name}`, namespace: "berth" },
      stringData: { host: `${name}.${namespace}.svc`, port: `${port}`, password, ...keys },
    },
  ];
}

const external = (name: string) => {
  const port = stores.find((store) => store.name === name)?.port;
  return { external: { secret: `external-${name}`, pods: [{ namespace, labels: { app: name }, port }] } };
};

testShape({
  what: "stores outside of the stack",
  prepare: async () => {
    // The stack adopts the namespace, because the config of `dev` has `adoptExisting`.
    for (const name of [namespace, "berth"]) await kubectl(["create", "namespace", name]);
    await kubectl(
      ["apply", "--server-side", "-f", "-"],
      stores
        .flatMap(objects)
        .map((object) => stringify(object))
        .join("---\n"),
    );
    for (const { name } of stores)
      await kubectl(["-n", namespace, "rollout", "status", `deployment/${name}`, `--timeout=${120 * patience}s`]);
  },
  change: ({ config }) => {
    for (const { name } of stores) config[`berth:${name}`] = external(name);
  },
  check: async () => {
    const own = ["statefulset/postgres", "statefulset/redis"];
    expect(await kubectl(["-n", "berth", "get", ...own, "--ignore-not-found"])).toBe("");
  },
});
