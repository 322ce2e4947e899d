import { once } from "node:events";
import { lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { until } from "@berth/testing/until.ts";
import grpc from "@grpc/grpc-js";
import engine_grpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import provider_grpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { execa } from "execa";
import empty_pb from "google-protobuf/google/protobuf/empty_pb.js";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { isStandIn, version } from "../pulumi/tools.ts";
import { builtVersion } from "./pulumi.ts";
import { layStandIns } from "./stand-ins.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-home-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const plugins = [
  { name: "random", version: "4.21.1", folder: "plugins/resource-random-v4.21.1" },
  { name: "docker", version: "5.2.0", folder: "plugins/resource-docker-v5.2.0" },
];

test("an official plugin goes before its stand-in, also one that came later or whose folder was moved", () => {
  const [home, official] = [join(folder, "home"), join(folder, "official")];
  mkdirSync(join(home, "plugins"), { recursive: true });
  for (const one of plugins) symlinkSync(join(folder, "moved", one.folder), join(home, one.folder));
  expect(layStandIns(home, official, plugins)).toEqual(["random", "docker"]);
  mkdirSync(join(official, "plugins/resource-docker-v5.2.0"), { recursive: true });
  writeFileSync(join(official, "plugins/resource-docker-v5.2.0/pulumi-resource-docker"), "x".repeat(5000));
  expect(layStandIns(home, official, plugins)).toEqual(["random"]);
  renameSync(official, `${official}-moved`);
  expect(layStandIns(home, `${official}-moved`, plugins)).toEqual(["random"]);
  expect(lstatSync(join(home, "plugins/resource-docker-v5.2.0")).isSymbolicLink()).toBe(true);
  expect(isStandIn(join(home, "plugins/resource-random-v4.21.1/pulumi-resource-random"))).toBe(true);
  expect(isStandIn(join(home, "plugins/resource-docker-v5.2.0/pulumi-resource-docker"))).toBe(false);
});

test.each([
  ["random", []],
  ["docker", ["random"]],
])("Pulumi gets one line about stand-ins, from %s if the official plugins are %j", async (announcer, officials) => {
  const [home, official] = [join(folder, "home"), join(folder, "official")];
  for (const one of plugins.filter(({ name }) => officials.includes(name)))
    mkdirSync(join(official, one.folder), { recursive: true });
  const engine = new grpc.Server();
  const lines: string[] = [];
  engine.addService(engine_grpc.EngineService, {
    log: (call: { request: { getMessage(): string } }, answer: (error: null, reply: object) => void) => {
      lines.push(call.request.getMessage());
      answer(null, new empty_pb.Empty());
    },
  });
  const credentials = grpc.ServerCredentials.createInsecure();
  const port = await promisify(engine.bindAsync.bind(engine))("127.0.0.1:0", credentials);
  onTestFinished(() => engine.forceShutdown());
  const standIns = layStandIns(home, official, plugins);
  expect(standIns).toContain(announcer);
  for (const name of [...standIns.filter((one) => one !== announcer), announcer]) {
    const { folder = "" } = plugins.find((one) => one.name === name) ?? {};
    const plugin = execa(join(home, folder, `pulumi-resource-${name}`), [`127.0.0.1:${port}`]);
    plugin.catch(() => {});
    onTestFinished(() => void plugin.kill());
    await once(plugin.stdout, "data");
  }
  await until("Pulumi has the line", 30, () => lines.length > 0);
  expect(lines).toEqual(["Berth's stand-ins serve in place of Pulumi's plugins (docs/air-gapped.md)."]);
});

test("the launcher starts a plugin that tells its port, and whose version says that it is Berth's", async () => {
  layStandIns(folder, "/nowhere", plugins);
  const plugin = execa(join(folder, "plugins/resource-random-v4.21.1/pulumi-resource-random"), ["127.0.0.1:1"]);
  plugin.catch(() => {});
  onTestFinished(() => void plugin.kill());
  const [line] = (await once(plugin.stdout, "data")) as [Buffer];
  expect(line.toString()).toMatch(/^\d+\n$/);
  const client = new provider_grpc.ResourceProviderClient(
    `127.0.0.1:${line}`.trim(),
    grpc.credentials.createInsecure(),
  );
  onTestFinished(() => client.close());
  const info = await new Promise<{ getVersion(): string }>((resolve, reject) =>
    client.getPluginInfo(new empty_pb.Empty(), (error: Error | null, reply: { getVersion(): string }) =>
      error ? reject(error) : resolve(reply),
    ),
  );
  expect(info.getVersion()).toBe("4.21.1+berth");
});

test("the CLI that is built has the SDK's version", () => {
  expect(builtVersion()).toBe(version);
});
