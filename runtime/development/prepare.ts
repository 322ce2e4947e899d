/**
 * Prepares for compose.yaml what the Pulumi stack prepares in production. The program writes the runtime's files to
 * /settings, and creates the tenant's namespace with everything that sessions' pods need. Then it runs the runtime's role
 * `migrate`, which creates the tables. compose.yaml passes the role as the argument. It does no harm to run the program again.
 */
import { createHash } from "node:crypto";
import { chownSync, copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiException, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { build } from "rolldown";
import { bundleOfSources } from "./bundle.ts";

/** The user `node` of the build image. The API and the worker run as this user. */
const uid = 1000;

function variable(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} must be set in .env.local. Copy the line from .env.example.`);
  return value;
}

function write(name: string, text?: string): void {
  const file = join(variable("SECRETS_DIR"), name);
  if (text === undefined) copyFileSync("/kubeconfig", file);
  else writeFileSync(file, text, { mode: 0o400 });
  chownSync(file, uid, uid);
}

const namespace = variable("NAMESPACE");
const sha256 = createHash("sha256").update(variable("API_KEY")).digest("hex");
const tenant = {
  name: variable("TENANT"),
  namespace,
  serviceAccount: "agent-runner",
  keys: [{ name: "default", sha256 }],
  workspace: { mode: "ephemeral", size: "1Gi" },
};
write("postgres-password", variable("POSTGRES_PASSWORD"));
write("redis-password", variable("REDIS_PASSWORD"));
write("token-key", variable("TOKEN_KEY"));
write("tenants.json", JSON.stringify({ tenants: [tenant] }));
write("kubeconfig");

const config = new KubeConfig();
config.loadFromFile("/kubeconfig");
const core = config.makeApiClient(CoreV1Api);

async function unlessThere(create: Promise<unknown>): Promise<void> {
  await create.catch((error: unknown) => {
    if (!(error instanceof ApiException && error.code === 409)) throw error;
  });
}
const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
await unlessThere(core.createNamespace({ body: { metadata: { name: namespace, labels } } }));
await unlessThere(
  core.createNamespacedServiceAccount({
    namespace,
    body: { metadata: { name: tenant.serviceAccount }, automountServiceAccountToken: false },
  }),
);
await unlessThere(core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "agent-config" } } }));
console.error(
  `development: tenant ${tenant.name} runs its sessions in the namespace ${namespace} of ${config.currentContext}`,
);

await build(bundleOfSources);
await import(new URL("../dist/main.js", import.meta.url).href);
