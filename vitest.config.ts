import { defineConfig } from "vitest/config";
import { ByPath } from "./testing/by-path.ts";
import { env } from "./tests/shapes/berth.ts";

/** Each project but `unit` has a suffix, so that a test file's name says what its tests need (see docs/development.md). */
const suffixes = ["manifests", "stores", "cluster", "stack", "e2e", "proof", "shape"] as const;
const files = (suffix: (typeof suffixes)[number]) =>
  `{images,infra,local,runtime/src,tests,tools}/**/*.${suffix}.test.ts`;

interface Limits {
  /**
   * The time limit of each test and hook in milliseconds. Default: 10 minutes. A test that passes needs only a small part of
   * this time.
   */
  timeout?: number;
  /** How many test files run at the same time. 1 if the files work on the same things, for example the same stack. */
  workers: number;
}

const limits = ({ timeout = 600_000, workers }: Limits) => ({
  testTimeout: timeout,
  hookTimeout: timeout,
  maxWorkers: workers,
});

const project = (name: (typeof suffixes)[number], wanted: Limits, more: object = {}) => ({
  test: {
    name,
    include: [files(name)],
    ...limits(wanted),
    // Projects with different numbers of workers can't be in one group.
    sequence: { groupOrder: suffixes.indexOf(name) + 1 },
    ...more,
  },
});

/** The files of a worker share one process, which loads each package once. */
const inOneProcess = { isolate: false, setupFiles: "testing/clean-slate.ts" };

const withStores = { globalSetup: "runtime/src/testing/stores.ts" };

export default defineConfig({
  test: {
    reporters: ["default", "./testing/closing-line.ts"],
    sequence: { sequencer: ByPath },
    // One forgotten `.only` would leave out the rest of its file.
    allowOnly: false,
    projects: [
      {
        test: {
          name: "unit",
          include: ["{images,infra,policy,local,machine,runtime/src,testing,tests,tools}/**/*.test.ts"],
          exclude: suffixes.map(files),
          ...inOneProcess,
          // By default, Vitest would run tests on only one of two cores.
          ...limits({ workers: 2 }),
          sequence: { groupOrder: 0 },
        },
      },
      // The tests may build Pulumi first.
      project("manifests", { timeout: 1_800_000, workers: 1 }),
      project("stores", { workers: 2 }, { ...withStores, ...inOneProcess }),
      project("cluster", { timeout: 1_200_000, workers: 2 }, withStores),
      project("stack", { timeout: 1_200_000, workers: 1 }),
      project("e2e", { workers: 1 }),
      project("proof", { timeout: 1_800_000, workers: 1 }),
      project("shape", { timeout: 1_800_000, workers: 1 }, { env }),
    ],
  },
});
