/** The CPU and memory that a component's containers request and may use. */
import { z } from "zod";
import { quantity } from "./scalars.ts";

/** Requests and limits of one container. Each component has its own defaults. */
export const resources = (defaults: { requests: CpuAndMemory; limits: CpuAndMemory }) =>
  z.strictObject({
    requests: cpuAndMemory(defaults.requests)
      .prefault({})
      .describe(
        "What each pod requests. Berth multiplies the value by `requestScale`, and Kubernetes reserves the product.",
      ),
    limits: cpuAndMemory(defaults.limits).prefault({}).describe("The most that each pod may use."),
  });

interface CpuAndMemory {
  cpu: string;
  memory: string;
}

const cpuAndMemory = ({ cpu, memory }: CpuAndMemory) =>
  z.strictObject({
    cpu: quantity.default(cpu).describe("CPU, for example 250m or 2."),
    memory: quantity.default(memory).describe("Memory, for example 512Mi."),
  });

export type ResourcesConfig = z.output<ReturnType<typeof resources>>;
