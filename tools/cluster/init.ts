/**
 * `npm run init -- --context NAME` looks at the cluster and writes `Pulumi.<stack>.yaml` for it. The command changes neither
 * the cluster nor a Pulumi backend, and it overwrites no file.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { reason } from "../../infra/kubernetes/cluster.ts";
import { root } from "../../machine/machine.ts";
import { UserError } from "../../machine/userError.ts";
import { lookAt } from "./look.ts";
import type { Seen } from "./seen.ts";
import { stackFile, stackName, type Wanted, warnings } from "./stack-file.ts";

const usage = `npm run init -- --context NAME    write Pulumi.<stack>.yaml for the cluster of this kubeconfig context
    --stack NAME                  the stack's name. Default: made from the context's name
    --registry HOST/PATH          the registry for Berth's images, for example ghcr.io/you/berth
    --url URL                     the address at which users will reach the API. Default: a forwarded port`;

/** @throws UserError if the arguments are wrong */
export function wantedOf(args: string[]): Wanted {
  let values: { context?: string; stack?: string; registry?: string; url?: string };
  try {
    ({ values } = parseArgs({
      args,
      options: {
        context: { type: "string" },
        stack: { type: "string" },
        registry: { type: "string" },
        url: { type: "string" },
      },
    }));
  } catch (error) {
    throw new UserError(`${(error as Error).message}\n${usage}`);
  }
  const { context, stack = stackName(context ?? ""), registry, url } = values;
  if (!context) throw new UserError(`name the kubeconfig context of the cluster.\n${usage}`);
  if (!/^[A-Za-z0-9_.-]{1,100}$/.test(stack))
    throw new UserError(`--stack ${stack}: a stack's name has only letters, digits, -, _ and .`);
  return { context, stack, registry, url };
}

/** What the user does next. */
export const nextSteps = ({
  stack,
}: Wanted): string => `Read Pulumi.${stack}.yaml, and do what its comments "To do" say. Then:

  pulumi stack init ${stack}
  npm run doctor -- --stack ${stack}
  pulumi up -s ${stack}
  npm run doctor -- --stack ${stack}
`;

/**
 * @param look reads what the cluster has; tests replace it
 * @param folder of the file. Default: the checkout
 * @returns what to print
 * @throws UserError if the cluster can't be read or the file exists
 */
export async function init(wanted: Wanted, look = lookAt, folder = root): Promise<string> {
  const seen: Seen = await look({ context: wanted.context }).catch((error: unknown) => {
    throw new UserError(`the cluster of the context ${wanted.context} can't be read: ${reason(error as Error)}`);
  });
  const name = `Pulumi.${wanted.stack}.yaml`;
  try {
    writeFileSync(join(folder, name), stackFile(seen, wanted), { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new UserError(`${name} exists already, and init overwrites no file. Name another stack: --stack NAME`);
  }
  return [`Wrote ${name}.`, ...warnings(seen).map((one) => `Attention: ${one}`), "", nextSteps(wanted)].join("\n");
}

if (import.meta.main)
  try {
    console.log(await init(wantedOf(process.argv.slice(2))));
  } catch (error) {
    console.error(error instanceof UserError ? `berth: ${error.message}` : error);
    process.exitCode = 1;
  }
