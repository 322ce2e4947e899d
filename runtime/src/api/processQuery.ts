/** Schemas of a program's id and of a position in its output. The HTTP routes and the gateway's WebSockets use them. */
import { z } from "zod";
import { IdParams } from "./http/input.ts";

export const processId = z
  .string()
  .regex(/^[1-9]\d{0,14}$/, "must be the id of a process")
  .transform(BigInt);

export const ProcessParams = IdParams.extend({ process: processId });
export type ProcessParams = z.infer<typeof ProcessParams>;

export const OutputQuery = z.strictObject({
  offset: z
    .string()
    .regex(/^\d{1,15}$/, "must be a position in the output")
    .default("0")
    .meta({
      description:
        "The position of the first byte of output to read. If Berth no longer has that byte, the output begins with the oldest byte that Berth has, and `dropped` counts the bytes before it.",
    }),
});
export type OutputQuery = z.infer<typeof OutputQuery>;
