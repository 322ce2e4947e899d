/**
 * A stand-in for one of Pulumi's plugins: `node main.ts kubernetes 4.32.0 announces`. With `announces`, Pulumi prints that
 * stand-ins are in use. If the official plugin can't be obtained, ../stand-ins.ts writes a launcher, and Pulumi starts this
 * program through the launcher.
 */
import grpc from "@grpc/grpc-js";
import engine_grpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engine_pb from "@pulumi/pulumi/proto/engine_pb.js";
import { serve } from "./protocol/serve.ts";

const [name = "", official = "", announces, engine] = process.argv.slice(2);
/** The suffix shows that this is not Pulumi's plugin. Comparisons of versions ignore the suffix. */
const version = `${official}+berth`;

const plugins = {
  kubernetes: async () => (await import("./kubernetes/plugin.ts")).kubernetesPlugin(),
  random: async () => (await import("./random/plugin.ts")).randomPlugin,
  docker: async () => (await import("./docker/plugin.ts")).dockerPlugin(),
};

const make = plugins[name as keyof typeof plugins];
if (make === undefined) throw new Error(`there is no stand-in for the plugin ${name}`);
await serve(name, version, await make());
if (announces === "announces" && engine !== undefined) announce(engine);

// A killed Pulumi does not end its plugins, so a plugin ends itself when its parent process has changed.
const pulumi = process.ppid;
setInterval(() => process.ppid === pulumi || process.exit(), 2_000).unref();

/** Makes Pulumi print a line. @param address the address of Pulumi's engine */
function announce(address: string): void {
  const line = new engine_pb.LogRequest();
  line.setSeverity(engine_pb.LogSeverity.INFO);
  line.setMessage("Berth's stand-ins serve in place of Pulumi's plugins (docs/air-gapped.md).");
  new engine_grpc.EngineClient(address, grpc.credentials.createInsecure()).log(line, () => {});
}
