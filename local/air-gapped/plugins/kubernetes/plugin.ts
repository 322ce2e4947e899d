/** The stand-in for Pulumi's plugin kubernetes. */
import { type Plugin, refuseOthers } from "../protocol/plugin.ts";
import { changedKeys, type Props, plain } from "../protocol/values.ts";
import { Api, loadConfig } from "./api.ts";
import { kindOf } from "./kinds.ts";
import { clusterResource, fileResource } from "./resource.ts";

/** The provider's arguments that the stand-in supports. In Pulumi's protocol all arguments are strings, for example `true`. */
const understood = [
  "kubeconfig",
  "context",
  "clusterIdentifier",
  "upsertExistingObjects",
  "enablePatchForce",
  "renderYamlToDirectory",
  // These two have no effect: the stand-in always updates a ConfigMap or Secret in place, unless the object is immutable.
  "enableConfigMapMutable",
  "enableSecretMutable",
  "version",
] as const;

type Arguments = Partial<Record<(typeof understood)[number], string>>;

export function kubernetesPlugin(): Plugin {
  let settings: Arguments = {};
  let api: Api | undefined;
  const inState = new Set<unknown>();

  return {
    diffConfig(olds, news) {
      const changed = changedKeys(olds, news);
      return { changed, replaces: changed.filter((key) => isAnotherCluster(key, olds, news)) };
    },
    configure(args) {
      refuseOthers("the provider kubernetes", args, understood);
      settings = plain(args);
    },
    resource(type) {
      const kind = kindOf(type);
      if (kind === undefined) return undefined;
      if (settings.renderYamlToDirectory) return fileResource(kind, settings.renderYamlToDirectory);
      api ??= new Api(loadConfig(settings.kubeconfig, settings.context));
      return clusterResource(kind, api, {
        upsert: settings.upsertExistingObjects === "true",
        force: settings.enablePatchForce === "true",
        inState,
      });
    },
  };
}

/**
 * Whether the changed argument `key` means another cluster, or another folder for files. A `clusterIdentifier` that differs
 * from the old one means another cluster. If the new arguments have no `clusterIdentifier`, a changed kubeconfig or context
 * means another cluster.
 */
const isAnotherCluster = (key: string, olds: Props, news: Props): boolean => {
  if (key === "renderYamlToDirectory") return true;
  if (key === "clusterIdentifier") return olds[key] !== undefined && news[key] !== undefined;
  return news.clusterIdentifier === undefined && ["kubeconfig", "context"].includes(key);
};
