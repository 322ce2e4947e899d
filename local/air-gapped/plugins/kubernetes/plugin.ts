/** The stand-in for Pulumi's plugin kubernetes. */
import type { Plugin } from "../protocol/plugin.ts";
import { changedKeys, type Props, plain } from "../protocol/values.ts";
import { Api, loadConfig } from "./api.ts";
import { kindOf } from "./kinds.ts";
import { removeFile, writeFile } from "./render.ts";
import { clusterResource, fileResource } from "./resource.ts";

/** The provider's arguments that are understood; `true` is a text in Pulumi's protocol. */
interface Arguments {
  kubeconfig?: string;
  context?: string;
  clusterIdentifier?: string;
  upsertExistingObjects?: "true" | "false";
  enablePatchForce?: "true" | "false";
  renderYamlToDirectory?: string;
  /** Changed contents are always updated in place, unless they are immutable. */
  enableConfigMapMutable?: "true";
  enableSecretMutable?: "true";
  version?: string;
}

const understood: (keyof Arguments)[] = [
  "kubeconfig",
  "context",
  "clusterIdentifier",
  "upsertExistingObjects",
  "enablePatchForce",
  "renderYamlToDirectory",
  "enableConfigMapMutable",
  "enableSecretMutable",
  "version",
];

export function kubernetesPlugin(version: string): Plugin {
  let settings: Arguments = {};
  let api: Api | undefined;

  return {
    version,
    diffConfig(olds, news) {
      const changed = changedKeys(olds, news);
      return { changed, replaces: changed.filter((key) => isAnotherCluster(key, olds, news)) };
    },
    configure(args) {
      const unknownOnes = Object.keys(args).filter(
        (key) => !key.startsWith("__") && !understood.includes(key as never),
      );
      if (unknownOnes.length > 0)
        throw new Error(
          `The stand-in for the plugin kubernetes has no provider argument ${unknownOnes.join(", ")}: use the official plugin.`,
        );
      settings = plain(args);
    },
    resource(type) {
      const kind = kindOf(type);
      if (kind === undefined) return undefined;
      const directory = settings.renderYamlToDirectory;
      if (directory)
        return fileResource(
          kind,
          (object) => writeFile(directory, object),
          (object) => removeFile(directory, object),
        );
      api ??= new Api(loadConfig(settings.kubeconfig, settings.context));
      return clusterResource(kind, api, {
        upsert: settings.upsertExistingObjects === "true",
        force: settings.enablePatchForce === "true",
      });
    },
    invoke: () => undefined,
  };
}

/** A cluster is told by its identifier; where there is none, by how it is reached. */
const isAnotherCluster = (key: string, olds: Props, news: Props): boolean => {
  if (key === "renderYamlToDirectory") return true;
  if (key === "clusterIdentifier") return olds[key] !== undefined && news[key] !== undefined;
  return news.clusterIdentifier === undefined && ["kubeconfig", "context"].includes(key);
};
