/** `npm run check:dockerfiles`: checks every Dockerfile with dockerfile-utils. Each finding counts as an error. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { validate } from "dockerfile-utils";
import { root } from "../../machine/machine.ts";

const files = globSync("{images,local}/**/Dockerfile", { cwd: root });
for (const file of files)
  for (const { range, message } of validate(readFileSync(join(root, file), "utf8"))) {
    console.error(`${file}:${range.start.line + 1}: ${message}`);
    process.exitCode = 1;
  }
if (!process.exitCode) console.log(`Checked ${files.length} Dockerfiles.`);
