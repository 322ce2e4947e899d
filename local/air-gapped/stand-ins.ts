/** Puts Berth's own plugins (plugins/) where Pulumi looks for the official ones. */
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "../../machine/machine.ts";
import { quoted } from "../lib/process.ts";
import type { PluginFolder } from "../pulumi/tools.ts";

/**
 * The first plugin in this list that has a stand-in announces that stand-ins are in use. Pulumi starts a plugin once per
 * provider. Every stack of Berth has exactly one provider of random values, and at least one provider of Kubernetes objects.
 */
const announcers = ["random", "kubernetes", "docker"];

/**
 * Puts each plugin into `home`: the official plugin if `official` contains it, else the stand-in.
 * @returns the names of the plugins that have stand-ins
 */
export function layStandIns(home: string, official: string, plugins: PluginFolder[]): string[] {
  const standIns = plugins.filter(({ folder }) => !existsSync(join(official, folder))).map(({ name }) => name);
  const announcer = announcers.find((name) => standIns.includes(name));
  for (const { name, version, folder } of plugins) {
    const target = join(home, folder);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(dirname(target), { recursive: true });
    if (!standIns.includes(name)) {
      symlinkSync(join(official, folder), target);
      continue;
    }
    mkdirSync(target);
    const script = launcher(name, version, name === announcer);
    writeFileSync(join(target, `pulumi-resource-${name}`), script, { mode: 0o755 });
  }
  return standIns;
}

/** A script that runs the stand-in with the Node.js in the checkout's node_modules. Pure. */
const launcher = (name: string, version: string, announces: boolean): string => {
  const node = join(root, "node_modules/.bin/node");
  const main = join(root, "local/air-gapped/plugins/main.ts");
  return `#!/bin/sh\nexec ${quoted(node)} ${quoted(main)} ${name} ${version} ${announces ? "announces" : "silent"} "$@"\n`;
};
