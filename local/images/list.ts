/** The base images of the local cluster, and how the stand-in for each is made. */
import pinned from "../../infra/images/base-images.json" with { type: "json" };
import { adapter, debianRoot, go, type Ingredient, machineTrust, nodeBinary, npm, prometheus } from "./ingredients.ts";

export interface BaseImage {
  /** The original's full name and tag, by which Dockerfiles and the stack know it (behind the registry prefix). */
  tag: string;
  /** The original's digest. A stand-in has another one. */
  digest: string;
  /** Folder below stand-ins/ that holds the Dockerfile. */
  recipe: string;
  /** What is put into the build context beside the folder's own files. Default nothing. */
  ingredients?: Ingredient[];
  /** The program that has to be compiled before its stand-in can be made. Default none. */
  program?: "prometheus" | "adapter";
}

/** The stand-in that the others are built from: their build argument DEBIAN_IMAGE. */
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
