/**
 * The former names of resources in the stack. In older versions, not every name began with the name of its component. The state
 * of an older stack still has the former names. Each former name is an alias, so that `up` finds the resource in the state.
 * Without the alias, `up` would make the resource under its new name and then delete the resource with the former name. Both
 * resources represent the same object in the cluster, so the object would be lost.
 *
 * tools/former-names.ts does the opposite: in a stack's state, it gives the resources their former names. Remove both files when
 * no stack can have a former name any more.
 */
import type * as pulumi from "@pulumi/pulumi";

/** Kind, name and former name. Each `*` is a text that is the same in both names. */
const renamed: [kind: string, name: string, former: string][] = [
  ["Namespace", "platform-namespace", "berth"],
  ["Secret", "platform-registry-login", "registry-login"],
  ["PriorityClass", "priorities-*", "*"],
  ["Image", "images-*", "*-image"],
  ["ConfigMap", "settings-config", "api-config"],
  ["ConfigMap", "settings-trusted-certificates", "trusted-certificates"],
  ["Secret", "settings-tenants", "tenants"],
  ["Secret", "settings-token-key", "api-secrets"],
  ["Secret", "settings-token-key-*", "token-key-*"],
  ["RandomPassword", "settings-token-key", "token-key"],
  ["RandomPassword", "settings-token-key-*", "token-key-*"],
  ["Service", "api-gateway", "gateway"],
  ["Ingress", "api-sandbox", "sandbox"],
  ["CronJob", "postgres-backup-*", "postgres-*"],
  ["APIService", "prometheus-adapter-*", "*"],
  ["Secret", "prometheus-adapter-certificate-tls", "prometheus-adapter-tls"],
  ["RandomPassword", "tenant-*-key.*", "*-key-*"],
  ["RandomPassword", "admin-key.*", "admin-key-*"],
];

const rules = renamed.map(([kind, name, former]) => ({
  kind,
  pattern: new RegExp(`^${name.replaceAll(".", "\\.").replaceAll("*", "(.+)")}$`),
  former: [...former].reduce(
    (text, letter) => (letter === "*" ? `${text}$${text.split("$").length}` : text + letter),
    "",
  ),
}));

/** A resource's former name; undefined if the resource was not renamed. @param type for example `kubernetes:core/v1:Service` */
export function formerName(type: string, name: string): string | undefined {
  const kind = type.split(":").at(-1);
  const rule = rules.find((one) => one.kind === kind && one.pattern.test(name));
  return rule && name.replace(rule.pattern, rule.former);
}

/**
 * Adds the former name of a resource to its aliases. The function is a transformation, which the SDK runs, and not a
 * transform, which the engine runs, so that tests see the aliases without an engine.
 */
export const withFormerName: pulumi.ResourceTransformation = ({ type, name, props, opts }) => {
  const former = formerName(type, name);
  if (former === undefined) return undefined;
  return { props, opts: { ...opts, aliases: [...(opts.aliases ?? []), { name: former }] } };
};
