/** Fills in the templates of the cluster's files: each `${name}` is replaced by a value of machine.ts or layout.ts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { machine } from "../../machine/machine.ts";
import * as layout from "./layout.ts";

const common: Record<string, unknown> = { ...machine, ...layout };

/** Reads a template of this folder, for example `daemons.yaml`. */
export const template = (file: string): string => readFileSync(join(import.meta.dirname, file), "utf8");

/** Returns the text with the values in place of their names. Throws for a name without a value. @param more further values */
export function fill(text: string, more: Record<string, string> = {}): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = more[name] ?? common[name];
    if (typeof value !== "string") throw new Error(`no value for \${${name}}`);
    return value;
  });
}

/** Reads YAML, and fills in each string of it. So a value may contain characters that mean something in YAML. */
export const filledYaml = (text: string, more?: Record<string, string>): unknown =>
  parse(text, (_, value) => (typeof value === "string" ? fill(value, more) : value));
