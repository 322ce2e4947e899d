/** How the runtime is put together for Node: in place of three thousand small files, whose loading takes most of a start. */
import type { RolldownOptions } from "rolldown";

export default {
  input: "src/main.ts",
  platform: "node",
  tsconfig: "tsconfig.json",
  // What Nest asks for if it is there is not there; that all else is there is tsc's to say.
  logLevel: "silent",
  output: {
    dir: "dist",
    chunkFileNames: "[name].js",
    // Errors are logged by the names of their classes.
    keepNames: true,
    sourcemap: true,
    // Packages apart from our own code, which alone gets its source map: to read theirs would take a second and 100 MB.
    // OpenTelemetry's SDK is loaded only where it is wanted.
    codeSplitting: { groups: [{ name: "packages", test: /node_modules\/(?!@opentelemetry)/ }] },
  },
} satisfies RolldownOptions;
