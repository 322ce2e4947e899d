/** Where images come from, and who may fetch them. */
import { z } from "zod";
import { imageByDigest, name, secretText } from "./scalars.ts";

const username = z.string().min(1, { error: "is empty" }).describe("User, or what the registry takes in its place.");
const password = secretText().describe("Password or token; set it with `pulumi config set --secret --path`.");

export const registryLogins = z.array(
  z.strictObject({
    server: z
      .string()
      .regex(/^[a-z0-9.-]+(:\d+)?$/, { error: "is not a registry's host, for example ghcr.io" })
      .describe("The registry's host, for example ghcr.io."),
    username,
    password,
  }),
);

export const registryPush = z.strictObject({ username, password });

export const imagePullSecrets = z.array(name);

export const images = z.strictObject({
  agent: imageByDigest
    .nullable()
    .default(null)
    .describe(
      "The desktop of sessions that ask for no image of their tenant's, by digest, for example one of your own `FROM` Berth's; null to build it from images/agent.",
    ),
});

export type ImagesConfig = z.output<typeof images>;
export type RegistryPush = z.output<typeof registryPush>;
export type RegistryLogin = z.output<typeof registryLogins>[number];
