/** `npm run up | down | status | env`: a whole Berth on this machine, or the stack on a cluster that is there already. */
import { delimiter } from "node:path";
import { parseArgs } from "node:util";
import { UserError } from "./lib/steps.ts";

const usage = `npm run up                      start everything; may be run again at any time
npm run up -- --context NAME    deploy to the cluster of this kubeconfig context instead
npm run down                    stop everything, keep its state
npm run down -- --purge         stop everything, leave nothing behind but the cache of programs
npm run down -- --purge --cache remove that cache as well
npm run status                  say what runs and what doesn't
npm run env                     print the shell's settings for pulumi and kubectl`;

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      context: { type: "string" },
      purge: { type: "boolean", default: false },
      cache: { type: "boolean", default: false },
    },
  });
  // Loaded here, because a variable that is wrong is found when its file is loaded.
  const { noProxy } = (await import("../machine/machine.ts")).machine;
  // `su` leaves root without the folders of root's programs.
  const path = [process.env.PATH, "/usr/local/sbin", "/usr/sbin", "/sbin"].join(delimiter);
  Object.assign(process.env, { NO_PROXY: noProxy, no_proxy: noProxy, PATH: path });
  switch (positionals[0]) {
    case "up":
      return (await import("./commands/up.ts")).up(values.context);
    case "down":
      if (values.cache && !values.purge)
        throw new UserError("The cache goes with the rest only: npm run down -- --purge --cache.");
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
  "The error above is one that Berth does not foresee. Run the command again, because it goes on where it stopped; if the error stays, report it.";

try {
  await main();
} catch (error) {
  const known = error instanceof UserError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS");
  if (!known) console.error(error);
  console.error(`\nberth: ${known ? (error as Error).message : unforeseen}`);
  process.exitCode = 1;
}
