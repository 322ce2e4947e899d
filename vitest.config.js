import { defineConfig } from "vitest/config";
const unit = ["{infra,policy,local,runtime/src,tests/bench}/**/*.test.ts"];
const stores = ["runtime/src/**/*.stores.test.ts"];
const cluster = ["{infra,policy,local,runtime/src}/**/*.cluster.test.ts"];
const e2e = ["tests/!(bench)/**/*.test.ts", "tests/*.test.ts"];
/** Projects run one after the other, and their files too where they share what they work on. */
const shared = (groupOrder, testTimeout) => ({ fileParallelism: false, testTimeout, hookTimeout: testTimeout, sequence: { groupOrder } });
/** unit needs nothing; stores a real Postgres and Redis; cluster and e2e the local cluster with the stack `dev`. */
export default defineConfig({
    test: {
        reporters: ["default", "./tests/closing-line.ts"],
        projects: [
            { test: { name: "unit", include: unit, exclude: [...stores, ...cluster] } },
            { test: { name: "stores", include: stores, globalSetup: "runtime/src/testing/stores.ts", ...shared(1, 60_000) } },
            { test: { name: "cluster", include: cluster, ...shared(2, 180_000) } },
            { test: { name: "e2e", include: e2e, ...shared(3, 180_000) } },
        ],
    },
});
