/**
 * `npm run test:shapes [-- NAME ...]` runs the shapes one after another, each in a new local cluster. At the end, the command
 * removes what the shapes have made on the machine.
 */
import { env } from "../tests/shapes/berth.ts";
import { runOneByOne } from "./one-by-one.ts";
import { run } from "./run.ts";

Object.assign(process.env, env);
await runOneByOne(
  {
    name: "shape",
    plural: "Shapes",
    // A shape takes at most 10 minutes on a machine without other load; a CI system's machine may be slower.
    limitSeconds: 40 * 60,
    after: () => run({ name: "purge", command: ["node", "local/main.ts", "down", "--purge"] }),
  },
  process.argv.slice(2),
);
