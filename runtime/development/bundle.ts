/** Our own sources as one program, with the packages left where they are. */
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
