/** Where images come from, and who may fetch them. */
import { z } from "zod";
import { name, secretText } from "./scalars.ts";

export const registryLogins = z.array(
  z.strictObject({
    server: z
      .string()
      .regex(/^[a-z0-9.-]+(:\d+)?$/, { error: "is not a registry's host, for example ghcr.io" })
      .describe("The registry's host, for example ghcr.io."),
    username: z.string().min(1, { error: "is empty" }).describe("User, or what the registry takes in its place."),
    password: secretText().describe("Password or token; set it with `pulumi config set --secret --path`."),
  }),
);

export const imagePullSecrets = z.array(name);

export type RegistryLogin = z.output<typeof registryLogins>[number];
