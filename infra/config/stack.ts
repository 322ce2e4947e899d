import * as pulumi from "@pulumi/pulumi";
import { type Config, parseConfig } from "./config.ts";

/** The config of the stack that runs; a wrong one ends the program before anything is touched, one line per fault. */
export function stackConfig(): Config {
  const prefix = `${pulumi.getProject()}:`;
  const entries = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
  const { config, faults } = parseConfig(
    Object.fromEntries(entries.map(([key, value]) => [key.slice(prefix.length), value])),
  );
  if (config) return config;
  const file = `Pulumi.${pulumi.getStack()}.yaml`;
  throw new pulumi.RunError([`${file} is wrong; nothing was changed.`, ...faults].join("\n"));
}
