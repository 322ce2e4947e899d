/** The runtime's own pods and how they are reached. */
import { z } from "zod";
import { cidr, port, replicas, wholeNumber } from "./scalars.ts";

export const api = z.strictObject({
  replicas: replicas.default(1).describe("Pods of the API."),
  nodePort: wholeNumber
    .min(30000, { error: "is below 30000" })
    .max(32767, { error: "is above 32767" })
    .optional()
    .describe("Makes the Service a NodePort on this port; for clusters without an ingress."),
});

export const worker = z.strictObject({ replicas: replicas.default(1).describe("Pods of the worker.") });

export const kubernetesApi = z.array(
  z.strictObject({
    cidr: cidr.describe("An address of the API, for example 10.0.0.1/32."),
    port: port.describe("Its port."),
  }),
);

export type ApiConfig = z.output<typeof api>;
export type WorkerConfig = z.output<typeof worker>;
