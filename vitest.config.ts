import { defineConfig } from "vitest/config";

const unit = ["{images,infra,policy,local,runtime/src,tests/bench}/**/*.test.ts"];
const manifests = ["infra/manifests/*.test.ts"];
const stores = ["runtime/src/**/*.stores.test.ts"];
const cluster = ["{images,infra,policy,local,runtime/src}/**/*.cluster.test.ts"];
const e2e = ["tests/*.test.ts"];
const proofs = ["tests/proofs/*.test.ts", "runtime/src/**/*.proof.test.ts"];

/** Projects run one after the other, and their files too where they share what they work on. */
const shared = (groupOrder: number, testTimeout: number) =>
  ({ fileParallelism: false, testTimeout, hookTimeout: testTimeout, sequence: { groupOrder } }) as const;

/** unit needs nothing; manifests Pulumi and Go; stores a real Postgres and Redis; cluster, e2e and proofs the local cluster with the stack `dev`. */
export default defineConfig({
  test: {
    reporters: ["default", "./tests/closing-line.ts"],
    projects: [
      { test: { name: "unit", include: unit, exclude: [...manifests, ...stores, ...cluster, ...proofs] } },
      { test: { name: "manifests", include: manifests, ...shared(1, 600_000) } },
      { test: { name: "stores", include: stores, globalSetup: "runtime/src/testing/stores.ts", ...shared(2, 60_000) } },
      { test: { name: "cluster", include: cluster, ...shared(3, 180_000) } },
      { test: { name: "e2e", include: e2e, ...shared(4, 180_000) } },
      { test: { name: "proofs", include: proofs, ...shared(5, 600_000) } },
    ],
  },
});
