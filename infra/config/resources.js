/** What the containers of a component ask for and may use. */
import { z } from "zod";
import { quantity } from "./scalars.ts";
/** Requests and limits of one container, with the component's own defaults. */
export const resources = (defaults) => z.strictObject({
    requests: cpuAndMemory(defaults.requests)
        .prefault({})
        .describe("What the scheduler keeps free for each pod, times `requestScale`."),
    limits: cpuAndMemory(defaults.limits).prefault({}).describe("What each pod may use at most."),
});
const cpuAndMemory = ({ cpu, memory }) => z.strictObject({
    cpu: quantity.default(cpu).describe("CPUs, for example 250m or 2."),
    memory: quantity.default(memory).describe("Memory, for example 512Mi."),
});
