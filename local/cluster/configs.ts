/** The configuration files of the cluster's daemons, which are made from the templates in config/. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { clusterImage } from "./images.ts";
import { etc } from "./layout.ts";
import { fill, filledYaml } from "./templates.ts";

const templates = fileURLToPath(new URL("config", import.meta.url));

/** The text of each file in etc/, by path. */
export const configFiles = (): Record<string, string> =>
  Object.fromEntries(globSync("**/*.*", { cwd: templates }).map((name) => [etc(name), configFile(name)]));

/** The text of one file, for example `kubelet.yaml`. The text has no comments, and JSON if CNI reads it. */
export function configFile(name: string): string {
  const template = readFileSync(join(templates, name), "utf8");
  const images = { pauseImage: clusterImage("pause") }; // the image of the container that holds a pod's namespaces
  if (name.endsWith(".yaml")) return stringify(filledYaml(template, images));
  if (name.endsWith(".conflist")) return JSON.stringify(filledYaml(template, images));
  return fill(template.replaceAll(/^#.*\n/gm, ""), images);
}
