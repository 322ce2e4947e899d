/** Where images come from, and which logins pull and push them. */
import { z } from "zod";
import { imageByDigest, secretText, subdomain } from "./scalars.ts";

const username = z
  .string()
  .min(1, { error: "is empty" })
  .describe("The user name, or what the registry accepts instead of a user name.");
const password = secretText().describe("The password or token. Set it with `pulumi config set --secret --path`.");

export const registryLogins = z.array(
  z.strictObject({
    server: z
      .string()
      .regex(/^[a-z0-9.-]+(:\d+)?$/, { error: "is not a registry's host; write for example ghcr.io" })
      .describe("The registry's host, for example ghcr.io."),
    username,
    password,
  }),
);

export const registryPush = z.strictObject({ username, password });

export const imagePullSecrets = z.array(subdomain);

/** The registry and path of Berth's own images. Empty only if the stack builds no image. */
export const registry = z.string().regex(/^([a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*)?$/, {
  error: "is not a registry and path; write for example ghcr.io/acme/berth",
});

/** The build arguments that each Dockerfile declares. A unit test compares them with the Dockerfiles. */
export const buildArguments = {
  api: ["NODE_BUILD_IMAGE", "NODE_RUNTIME_IMAGE"],
  agent: ["DEBIAN_IMAGE", "GO_IMAGE", "BROWSER", "SECURITY_EPOCH"],
  berthd: ["GO_IMAGE"],
} as const;

/** An image that the stack builds from images/<name>, unless the config names a finished image. */
export type OwnImage = keyof typeof buildArguments;

/** The secrets that a Dockerfile mounts, by the id in the Dockerfile. A unit test compares them with the Dockerfiles. */
export const buildSecrets = z.strictObject({
  npmrc: secretText()
    .nullable()
    .default(null)
    .describe(
      "The content of an .npmrc file with the login to a private registry of npm packages. Set it with `pulumi config set --secret --path`. Null: the build gets no .npmrc.",
    ),
});

/** BuildKit knows these arguments without a declaration in the Dockerfile. */
const proxyArguments = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];
const everywhere = [...proxyArguments, ...proxyArguments.map((name) => name.toLowerCase())];

/** Refuses arguments that the image's Dockerfile doesn't declare, because Docker only warns and ignores them. */
const buildArgs = (image: OwnImage) =>
  z.record(z.string(), z.string()).check((check) => {
    const known: readonly string[] = buildArguments[image];
    for (const [name, value] of Object.entries(check.value))
      if (!known.includes(name) && !everywhere.includes(name))
        check.issues.push({
          code: "custom",
          input: value,
          path: [name],
          message: `has no effect, because images/${image}/Dockerfile doesn't declare the argument; it declares ${known.join(", ")}. Build arguments must not contain secrets: only the image api takes secrets, in \`images.api.buildSecrets\``,
          // The value may be a secret by mistake, so the message does not show it.
          params: { secret: true },
        });
  });

const ownImage = <Keys extends z.ZodRawShape>(image: OwnImage, what: string, keys: Keys) =>
  z
    .union(
      [
        imageByDigest,
        z.strictObject({
          buildArgs: buildArgs(image)
            .default({})
            .describe(
              `Build arguments, in addition to those that Berth sets: ${buildArguments[image].join(", ")}, or a proxy's address such as HTTPS_PROXY. Build arguments are stored in the image's history, so they must not contain secrets.`,
            ),
          ...keys,
        }),
      ],
      { error: "is neither an image by digest nor a group of keys" },
    )
    .nullable()
    .default(null)
    .describe(
      `${what} An image by digest is used as it is, and nothing is built. The group of keys below: Berth builds the image with these arguments. Null: Berth builds the image from images/${image}.`,
    );

export const images = z.strictObject({
  api: ownImage("api", "The image of API, gateway, worker and jobs. It must be of the same commit as the checkout.", {
    buildSecrets: buildSecrets
      .prefault({})
      .describe(
        "Secrets for the build. They are neither in the image, nor in Pulumi's state, nor in its output. A build with secrets needs the command `docker`; see docs/images.md#secrets-of-a-build.",
      ),
  }),
  agent: ownImage(
    "agent",
    "The desktop image of sessions that ask for no image of their tenant, for example your own image that is `FROM` Berth's.",
    {},
  ),
  berthd: ownImage(
    "berthd",
    "The image of berthd and of the vnc-proxy. It must be of the same commit as the checkout.",
    {},
  ),
  berthdVolume: z
    .enum(["copy", "image"], { error: "is neither copy nor image" })
    .default("copy")
    .describe(
      "How a session's pod gets berthd if this stack does not build the pod's image. `copy`: an init container copies berthd. `image`: an image volume, which Kubernetes' feature gate ImageVolume and the container runtime of every node must support; see docs/session-images.md.",
    ),
});

export type ImagesConfig = z.output<typeof images>;

/** The images that the stack builds: those for which the config names no finished image. */
export const builtImages = (config: ImagesConfig): OwnImage[] =>
  (Object.keys(buildArguments) as OwnImage[]).filter((image) => typeof config[image] !== "string");

/** Refuses a config that builds an image and names no registry to which the image can be pushed. */
export function pushable(check: z.core.ParsePayload<{ registry: string; images: ImagesConfig }>): void {
  const { registry, images } = check.value;
  const built = builtImages(images);
  if (registry !== "" || built.length === 0) return;
  check.issues.push({
    code: "custom",
    input: undefined,
    path: ["registry"],
    message: `is empty, but Berth builds the images ${built.join(", ")} and must push them; name a registry, or name these images by digest under \`images\``,
  });
}

export type RegistryPush = z.output<typeof registryPush>;
export type RegistryLogin = z.output<typeof registryLogins>[number];
