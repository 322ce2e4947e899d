/** The settings that bundle our own sources into one program. The packages stay outside of the bundle. */
import { fileURLToPath } from "node:url";
import bundle from "../rolldown.config.ts";
import { packages } from "./packages.ts";

/** The folder of the package `runtime`. */
export const root = fileURLToPath(new URL("..", import.meta.url));

export const bundleOfSources = {
  ...bundle,
  cwd: root,
  external: (id: string) => packages.some((name) => id === name || id.startsWith(`${name}/`)),
};
