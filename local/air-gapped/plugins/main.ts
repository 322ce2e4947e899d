/**
 * A stand-in for one of Pulumi's plugins: `node main.ts kubernetes 4.32.0`. Pulumi starts it through the launchers that
 * ../stand-ins.ts writes, where the official plugin can't be had.
 */
import { serve } from "./protocol/serve.ts";

const [name = "", version = ""] = process.argv.slice(2);

const plugins = {
  kubernetes: async () => (await import("./kubernetes/plugin.ts")).kubernetesPlugin(version),
  random: async () => (await import("./random/plugin.ts")).randomPlugin(version),
  docker: async () => (await import("./docker/plugin.ts")).dockerPlugin(version),
};

const make = plugins[name as keyof typeof plugins];
if (make === undefined) throw new Error(`there is no stand-in for the plugin ${name}`);
await serve(name, await make());

// A Pulumi that is killed ends no plugin.
const pulumi = process.ppid;
setInterval(() => process.ppid === pulumi || process.exit(), 2_000).unref();
