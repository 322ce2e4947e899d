/** The configuration files of the cluster's daemons, which are made from the templates in config/. */
import { globSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { clusterImage } from "./images.ts";
import { etc } from "./layout.ts";
import { fill, filledYaml, template } from "./templates.ts";

/** The text of each file in etc/, by path. */
export const configFiles = (): Record<string, string> =>
  Object.fromEntries(
    globSync("**/*.*", { cwd: join(import.meta.dirname, "config") }).map((name) => [etc(name), configFile(name)]),
  );

/** The text of one file, for example `kubelet.yaml`. The text has no comments, and JSON if CNI reads it. */
export function configFile(name: string): string {
  const text = template(`config/${name}`);
  const images = { pauseImage: clusterImage("pause") }; // the image of the container that holds a pod's namespaces
  if (name.endsWith(".yaml")) return stringify(filledYaml(text, images));
  if (name.endsWith(".conflist")) return JSON.stringify(filledYaml(text, images));
  return fill(text.replaceAll(/^#.*\n/gm, ""), images);
}
