/** `npm run up | down | status | env`: a whole Berth on this machine, or the stack on a cluster that is there already. */
import { delimiter } from "node:path";
import { parseArgs } from "node:util";
import { purgeCache } from "./commands/cache.ts";
import { down } from "./commands/down.ts";
import { printEnvironment } from "./commands/env.ts";
import { status } from "./commands/status.ts";
import { up } from "./commands/up.ts";
import { noProxy } from "./lib/paths.ts";
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
  switch (positionals[0]) {
    case "up":
      return up(values.context);
    case "down":
      if (values.cache && !values.purge) throw new UserError("--cache goes with --purge only.");
      await down(values.purge);
      return values.cache ? purgeCache() : undefined;
    case "status":
      return status();
    case "env":
      return printEnvironment();
    default:
      throw new UserError(usage);
  }
}

// `su` leaves root without the folders of root's programs.
const path = [process.env.PATH, "/usr/local/sbin", "/usr/sbin", "/sbin"].join(delimiter);
Object.assign(process.env, { NO_PROXY: noProxy, no_proxy: noProxy, PATH: path });
try {
  await main();
} catch (error) {
  const known = error instanceof UserError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS");
  console.error(known ? `\nberth: ${(error as Error).message}` : error);
  process.exitCode = 1;
}
