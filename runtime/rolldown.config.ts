/**
 * Bundles the runtime for Node. Without the bundle, most of a start would be spent on loading three thousand small
 * files.
 */
import type { RolldownOptions } from "rolldown";

export default {
  input: "src/main.ts",
  platform: "node",
  tsconfig: "tsconfig.json",
  // Nest tries to import optional packages that are not installed. tsc checks all other imports.
  logLevel: "silent",
  output: {
    dir: "dist",
    chunkFileNames: "[name].js",
    // The log contains the class names of errors, so the names must stay.
    keepNames: true,
    sourcemap: true,
    // Our code and the packages are separate chunks, and only our code gets a source map: to read the packages' maps
    // would take a second and 100 MB.
    // OpenTelemetry's SDK is a chunk of its own, which is loaded only if tracing is on.
    codeSplitting: { groups: [{ name: "packages", test: /node_modules\/(?!@opentelemetry)/ }] },
  },
} satisfies RolldownOptions;
