/** Puts Berth's own plugins (plugins/) where Pulumi looks for the official ones. */
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "../../machine/machine.ts";
import type { PluginFolder } from "../pulumi/tools.ts";

/**
 * Puts each plugin into `home`: the official plugin if `official` contains it, else the stand-in.
 * @returns the names of the plugins that have stand-ins
 */
export function layStandIns(home: string, official: string, plugins: PluginFolder[]): string[] {
  return plugins.flatMap(({ name, version, folder }) => {
    const target = join(home, folder);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(dirname(target), { recursive: true });
    if (existsSync(join(official, folder))) {
      symlinkSync(join(official, folder), target);
      return [];
    }
    mkdirSync(target);
    writeFileSync(join(target, `pulumi-resource-${name}`), launcher(name, version), { mode: 0o755 });
    return [name];
  });
}

/** A script that runs the stand-in with the Node.js in the checkout's node_modules. Pure. */
export const launcher = (name: string, version: string): string => {
  const quote = (path: string) => `'${path.replaceAll("'", "'\\''")}'`;
  const [node, main] = [
    join(root, "node_modules", ".bin", "node"),
    join(root, "local", "air-gapped", "plugins", "main.ts"),
  ].map(quote);
  return `#!/bin/sh\nexec ${node} ${main} ${name} ${version} "$@"\n`;
};
