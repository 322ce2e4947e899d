/** Puts Berth's own plugins (plugins/) where Pulumi looks for the official ones. */
import { existsSync, lstatSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../machine/machine.ts";
import { linkIfChanged, writeIfChanged } from "../lib/files.ts";
import { quoted } from "../lib/process.ts";
import type { PluginFolder } from "../pulumi/tools.ts";

/**
 * The first plugin in this list that has a stand-in announces that stand-ins are in use. Pulumi starts a plugin once per
 * provider. Every stack of Berth has exactly one provider of random values, and at least one provider of Kubernetes objects.
 */
const announcers = ["random", "kubernetes", "docker"];

/**
 * Puts each plugin into `home`: the official plugin if `official` contains it, else the stand-in. Other processes may do the
 * same or start a plugin at the same time, so what is right already stays in place.
 * @returns the names of the plugins that have stand-ins
 */
export function layStandIns(home: string, official: string, plugins: PluginFolder[]): string[] {
  const standIns = plugins.filter(({ folder }) => !existsSync(join(official, folder))).map(({ name }) => name);
  const announcer = announcers.find((name) => standIns.includes(name));
  for (const { name, version, folder } of plugins) {
    const target = join(home, folder);
    if (!standIns.includes(name)) {
      linkIfChanged(target, join(official, folder));
      continue;
    }
    if (lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(target, { force: true });
    const script = launcher(name, version, name === announcer);
    writeIfChanged(join(target, `pulumi-resource-${name}`), script, 0o755);
  }
  return standIns;
}

/** A script that runs the stand-in with the Node.js in the checkout's node_modules. Pure. */
const launcher = (name: string, version: string, announces: boolean): string => {
  const node = join(root, "node_modules/.bin/node");
  const main = join(root, "local/air-gapped/plugins/main.ts");
  return `#!/bin/sh\nexec ${quoted(node)} ${quoted(main)} ${name} ${version} ${announces ? "announces" : "silent"} "$@"\n`;
};
