import * as pulumi from "@pulumi/pulumi";
import { type Config, parseConfig } from "./config.ts";

/**
 * The config of the current stack. If the config is invalid, the program prints one line for each fault and ends before it
 * changes anything.
 */
export function stackConfig(): Config {
  const prefix = `${pulumi.getProject()}:`;
  const entries = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
  const { config, faults } = parseConfig(
    Object.fromEntries(entries.map(([key, value]) => [key.slice(prefix.length), value])),
  );
  if (config) return config;
  const file = `Pulumi.${pulumi.getStack()}.yaml`;
  throw new pulumi.RunError([`${file} is invalid. Nothing was changed.`, ...faults].join("\n"));
}
