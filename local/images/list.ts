/** The base images of the local cluster, and how the stand-in for each is made. */
import { adapter, debianRoot, type Ingredient, machineTrust, nodeBinary, npm, prometheus } from "./ingredients.ts";

export interface BaseImage {
  /** The original's full name, by which Dockerfiles and the stack know it (behind the registry prefix). */
  name: string;
  /** Folder below stand-ins/ that holds the Dockerfile. */
  recipe: string;
  /** What is put into the build context beside the folder's own files. Default nothing. */
  ingredients?: Ingredient[];
}

/** The stand-in that the others are built from: their build argument DEBIAN_IMAGE. */
export const debian: BaseImage = {
  name: "docker.io/library/debian:bookworm-slim",
  recipe: "debian",
  ingredients: [debianRoot],
};

export const baseImages: BaseImage[] = [
  debian,
  {
    name: "docker.io/library/node:24-bookworm-slim",
    recipe: "node",
    ingredients: [nodeBinary("files/usr/local/bin/node"), npm("files/usr/local"), machineTrust("files/usr/local/etc")],
  },
  {
    name: "gcr.io/distroless/nodejs24-debian13:nonroot",
    recipe: "nodejs",
    ingredients: [nodeBinary("node")],
  },
  { name: "docker.io/library/postgres:15-bookworm", recipe: "postgres" },
  { name: "docker.io/library/redis:7-bookworm", recipe: "redis" },
  {
    name: "docker.io/prom/prometheus:v3.13.5",
    recipe: "prometheus",
    ingredients: [prometheus("files/bin/prometheus", "data")],
  },
  { name: "quay.io/prometheuscommunity/postgres-exporter:v0.11.1", recipe: "postgres-exporter" },
  { name: "docker.io/oliver006/redis_exporter:v1.45.0-alpine", recipe: "redis-exporter" },
  {
    name: "registry.k8s.io/prometheus-adapter/prometheus-adapter:v0.12.0",
    recipe: "prometheus-adapter",
    ingredients: [adapter("files/adapter")],
  },
];
