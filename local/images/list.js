/** The base images of the local cluster, and how the stand-in for each is made. */
import { adapter, debianRoot, machineTrust, nodeBinary, npm } from "./ingredients.ts";
/** The stand-in that the others are built from: their build argument DEBIAN_IMAGE. */
export const debian = {
    name: "docker.io/library/debian:bookworm-slim",
    recipe: "debian",
    ingredients: [debianRoot],
};
export const baseImages = [
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
    { name: "docker.io/prom/prometheus:v2.42.0", recipe: "prometheus" },
    {
        name: "registry.k8s.io/prometheus-adapter/prometheus-adapter:v0.12.0",
        recipe: "prometheus-adapter",
        ingredients: [adapter("files/adapter")],
    },
];
