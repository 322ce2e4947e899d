/** The base images of the local cluster, and how the stand-in for each is made. */
import pinned from "../../infra/images/base-images/base-images.json" with { type: "json" };
import { adapter, debianRoot, go, type Ingredient, machineTrust, nodeBinary, npm, prometheus } from "./ingredients.ts";

export interface BaseImage {
  /** The original's full name and tag. Dockerfiles and the stack use this name after the prefix of the registry. */
  tag: string;
  /** The original's digest. A stand-in has another digest. */
  digest: string;
  /** The folder below stand-ins/ that contains the Dockerfile. */
  recipe: string;
  /** Files that are added to the folder's own files in the build context. Default: none. */
  ingredients?: Ingredient[];
  /** The program that must be compiled before the stand-in can be made. Default: none. */
  program?: "prometheus" | "adapter";
}

/** Most other stand-ins are built from this image. Their build argument DEBIAN_IMAGE names this image. */
export const debian: BaseImage = { ...pinned.debian, recipe: "debian", ingredients: [debianRoot] };

export const baseImages: BaseImage[] = [
  debian,
  {
    ...pinned.nodeBuild,
    recipe: "node",
    ingredients: [nodeBinary("files/usr/local/bin/node"), npm("files/usr/local"), machineTrust("files/usr/local/etc")],
  },
  { ...pinned.nodeRuntime, recipe: "nodejs", ingredients: [nodeBinary("node")] },
  { ...pinned.go, recipe: "golang", ingredients: [go("files")] },
  { ...pinned.postgres, recipe: "postgres" },
  { ...pinned.redis, recipe: "redis" },
  {
    ...pinned.prometheus,
    recipe: "prometheus",
    ingredients: [prometheus("files/bin/prometheus", "data")],
    program: "prometheus",
  },
  { ...pinned.postgresExporter, recipe: "postgres-exporter" },
  { ...pinned.redisExporter, recipe: "redis-exporter" },
  {
    ...pinned.prometheusAdapter,
    recipe: "prometheus-adapter",
    ingredients: [adapter("files/adapter")],
    program: "adapter",
  },
];
