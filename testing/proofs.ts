/** `npm run test:proofs [-- NAME ...]` runs the proofs one after another. Before each proof, `up` repairs the stack. */
import { runOneByOne } from "./one-by-one.ts";
import { run, up } from "./run.ts";

await runOneByOne(
  {
    name: "proof",
    plural: "Proofs",
    // A proof takes at most 15 minutes on a machine without other load; a CI system's machine may be slower.
    limitSeconds: 40 * 60,
    before: async () => {
      await run({ name: "put right", command: ["node", "tests/proofs/put-right.ts"] });
      return up();
    },
    // A successful proof leaves the stack unchanged, but a failed proof may leave changes.
    after: up,
  },
  process.argv.slice(2),
);
