import { defineConfig } from "vitest/config";

const stores = ["runtime/src/**/*.stores.test.ts"];
const cluster = ["{infra,local,runtime/src}/**/*.cluster.test.ts"];

/** unit needs nothing; stores a real Postgres and Redis; cluster and e2e the local cluster with the stack `dev`. */
export default defineConfig({
  test: {
    reporters: ["default", "./tests/closing-line.ts"],
    projects: [
      {
        test: { name: "unit", include: ["{infra,local,runtime/src}/**/*.test.ts"], exclude: [...stores, ...cluster] },
      },
      {
        test: { name: "stores", include: stores, globalSetup: "runtime/src/testing/stores.ts", fileParallelism: false },
      },
      { test: { name: "cluster", include: cluster, testTimeout: 120_000, fileParallelism: false } },
      { test: { name: "e2e", include: ["tests/**/*.test.ts"], testTimeout: 180_000, fileParallelism: false } },
    ],
  },
});
