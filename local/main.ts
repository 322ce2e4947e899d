/** `npm run up | down | status | env`: starts and stops all of Berth on this machine, and shows its status and settings. */
import { delimiter } from "node:path";
import { parseArgs } from "node:util";
import { UserError } from "./lib/steps.ts";

const usage = `npm run up                      start everything; may be run again at any time
npm run down                    stop everything, keep its state
npm run down -- --purge         stop everything and remove its state, but keep the cache of programs
npm run down -- --purge --cache remove that cache as well
npm run status                  say what runs and what doesn't
npm run env                     print the shell's settings for pulumi and kubectl

For a cluster that you have: npm run init -- --context NAME`;

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      purge: { type: "boolean", default: false },
      cache: { type: "boolean", default: false },
      // testing/gate.ts uses this option, because its tests need programs that share Go packages with the cluster's programs.
      "keep-compiled": { type: "boolean", default: false },
    },
  });
  // machine.ts throws a UserError if a variable is wrong. It is loaded inside this function, so that the error is caught below.
  const { noProxy } = (await import("../machine/machine.ts")).machine;
  // After `su`, root's PATH may lack the folders of the system's programs.
  const path = [process.env.PATH, "/usr/local/sbin", "/usr/sbin", "/sbin"].join(delimiter);
  Object.assign(process.env, { NO_PROXY: noProxy, no_proxy: noProxy, PATH: path });
  switch (positionals[0]) {
    case "up":
      return (await import("./commands/up.ts")).up({ keepCompiled: values["keep-compiled"] });
    case "down":
      if (values.cache && !values.purge)
        throw new UserError(
          "`--cache` needs `--purge`, because the cache can be removed only together with the local cluster's state: " +
            "npm run down -- --purge --cache.",
        );
      await (await import("./commands/down.ts")).down(values.purge);
      return values.cache ? (await import("./commands/cache.ts")).purgeCache() : undefined;
    case "status":
      return (await import("./commands/status.ts")).status();
    case "env":
      return (await import("./commands/env.ts")).printEnvironment();
    default:
      throw new UserError(usage);
  }
}

const unforeseen =
  "Berth does not know the error above. Run the command again: it continues where it stopped. If the error stays, report it.";

try {
  await main();
} catch (error) {
  const known = error instanceof UserError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS");
  if (!known) console.error(error);
  console.error(`\nberth: ${known ? (error as Error).message : unforeseen}`);
  process.exitCode = 1;
}
