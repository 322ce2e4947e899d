import type { V1Container } from "@kubernetes/client-node";
import { containersOf, type KubernetesObject } from "../kubernetes.ts";
import type { Faults } from "../rule.ts";

/**
 * Matches names of secret values. A name such as POSTGRES_PASSWORD_FILE does not match, because its value is a path and no
 * secret.
 */
const secretName = /(password|passwd|secret|token|credentials?|(api|private|access|signing|token)[-_.]?key)$/i;

/** Matches values that are secret under any name: private keys, passwords in URLs, and keys of services and of Berth. */
const secretValue =
  /-----BEGIN [A-Z ]*PRIVATE KEY-----|\w:\/\/[^\s/:@]*:[^\s/@]+@|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{36}|\bberth_[a-z0-9-]+_[A-Za-z0-9]{32}/;

/** Pods get secrets as files from a Secret, because everyone who may read a pod's spec or a ConfigMap sees its values. */
export function noPlainSecrets(object: KubernetesObject): Faults {
  if (object.kind === "ConfigMap") return secretsIn(object.manifest.data ?? {}).map((key) => `data.${key} is a secret`);
  return containersOf(object).flatMap((container) =>
    environmentFaults(container).map((fault) => `container ${container.name}: ${fault}; mount it as a file`),
  );
}

function environmentFaults({ env = [], envFrom = [] }: V1Container): Faults {
  const literals = Object.fromEntries(env.flatMap(({ name, value }) => (value ? [[name, value]] : [])));
  return [
    ...secretsIn(literals).map((name) => `env ${name} is a secret`),
    // A Secret may also contain values that are not secret, for example the host name of a connection.
    ...env
      .filter(
        ({ name, valueFrom }) => valueFrom?.secretKeyRef && secretName.test(`${name} ${valueFrom.secretKeyRef.key}`),
      )
      .map(({ name }) => `env ${name} is a secret`),
    ...envFrom.flatMap(({ secretRef }) => (secretRef ? [`envFrom has the Secret ${secretRef.name}`] : [])),
  ];
}

const secretsIn = (values: Record<string, string>): string[] =>
  Object.entries(values)
    .filter(([name, value]) => value !== "" && (secretName.test(name) || secretValue.test(value)))
    .map(([name]) => name);
