/** Puts Berth's own plugins (plugins/) where Pulumi looks for the official ones. */
import { existsSync, lstatSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "../../machine/machine.ts";
import { writeIfChanged } from "../lib/files.ts";
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
    const isStandIn = standIns.includes(name);
    const target = join(home, folder);
    mkdirSync(dirname(target), { recursive: true });
    // Another process may call this function or start the plugin at the same time, so what is right already stays in place.
    const found = lstatSync(target, { throwIfNoEntry: false });
    if (found && found.isSymbolicLink() === isStandIn) rmSync(target, { recursive: true, force: true });
    const script = join(target, `pulumi-resource-${name}`);
    if (isStandIn) writeIfChanged(script, launcher(name, version, name === announcer), 0o755);
    else if (!existsSync(target)) symlinkSync(join(official, folder), target);
  }
  return standIns;
}

/** A script that runs the stand-in with the Node.js in the checkout's node_modules. Pure. */
const launcher = (name: string, version: string, announces: boolean): string => {
  const node = join(root, "node_modules/.bin/node");
  const main = join(root, "local/air-gapped/plugins/main.ts");
  return `#!/bin/sh\nexec ${quoted(node)} ${quoted(main)} ${name} ${version} ${announces ? "announces" : "silent"} "$@"\n`;
};
