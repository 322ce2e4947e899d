/** Berth's images exist already, the config names them by digest, and there is no Docker daemon. */
import { existsSync } from "node:fs";
import { expect } from "vitest";
import { stopDocker } from "../../local/docker.ts";
import { stackOutputs } from "../../local/pulumi/stack.ts";
import { machine } from "../../machine/machine.ts";
import { destroyOrThrow, upOrThrow } from "../pulumi.ts";
import { testShape } from "./shape.ts";

let images: Record<string, string> = {};

testShape({
  what: "prebuilt images and no Docker daemon",
  prepare: async () => {
    await upOrThrow();
    const { apiImage: api, agentImage: agent, berthdImage: berthd } = await stackOutputs("dev");
    images = { api, agent, berthd };
    await destroyOrThrow();
    await stopDocker();
    expect(existsSync(machine.dockerSocket)).toBe(false);
  },
  change: ({ config }) => {
    delete config["berth:registry"];
    config["berth:images"] = images;
  },
});
