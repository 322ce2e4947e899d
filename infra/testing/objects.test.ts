/** Tests the table in README.md that shows for every object in the cluster which file makes the object. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, relative } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { filesThatMade, type RecordedResource, recordStack } from "./record.ts";

/** A file of infra/, the folder with the README.md that contains the table. */
const here = (name: string) => new URL(`../${name}`, import.meta.url);
const read = (name: string) => readFileSync(here(name), "utf8");

interface Row {
  namespace: string;
  names: string[];
  kinds: string[];
  file: string;
  /** The config that the object needs. If this is empty, the stack `dev` or `prod` has the object. */
  condition: string;
}

const [, section = ""] = /^## From an object to its code\n(.*?)^## /ms.exec(read("README.md")) ?? [];

const rows: Row[] = section
  .split("\n")
  .filter((line) => line.includes(".ts) |"))
  .map((line) => {
    const [namespace = "", names = "", kinds = "", file = "", condition = ""] = line
      .split("|")
      .slice(1)
      .map((cell) => cell.trim().replaceAll("`", ""));
    return {
      namespace,
      names: names.split(", "),
      kinds: kinds.split(", "),
      file: /\[(.+)]/.exec(file)?.[1] ?? "",
      condition,
    };
  });

interface ObjectInputs {
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
}

const inputs = ["dev", "prod"]
  .flatMap((stack) => JSON.parse(read(`testdata/${stack}.golden.json`)) as RecordedResource[])
  .map(({ inputs }) => inputs as Partial<ObjectInputs>)
  .filter((inputs): inputs is ObjectInputs => inputs.kind !== undefined);

const objects = inputs.map(({ kind, metadata: { namespace = "", name } }) => ({ namespace, kind, name }));

/** Whether the text matches the pattern, in which `*` is any text and `…` is a hash of the content. */
const fits = (pattern: string, text: string) =>
  new RegExp(`^${pattern.replaceAll("*", ".+").replace("…", "[0-9a-f]{10}")}$`).test(text);

const matches = (row: Row, { namespace, kind, name }: (typeof objects)[number]) =>
  fits(row.namespace, namespace) && row.kinds.includes(kind) && row.names.some((pattern) => fits(pattern, name));

test("every object has the recommended labels", () => {
  const recommended = ["name", "instance", "component", "part-of", "managed-by"].map(
    (key) => `app.kubernetes.io/${key}`,
  );
  const without = inputs.filter(({ metadata }) => !recommended.every((key) => key in (metadata.labels ?? {})));
  expect(without.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([]);
});

describe("the table of objects", () => {
  test("every object of the stacks is in exactly one row of infra/README.md", () => {
    const elsewhere = objects
      .map((object) => ({ object, files: rows.filter((row) => matches(row, object)).map(({ file }) => file) }))
      .filter(({ files }) => files.length !== 1);
    expect(elsewhere).toEqual([]);
  });

  test("every file of the table exists, and every object exists unless the table says that it needs a config", () => {
    expect(rows.map(({ file }) => file).filter((file) => !existsSync(here(file)))).toEqual([]);
    const gone = rows
      .filter(({ condition }) => condition === "")
      .filter((row) => !objects.some((one) => matches(row, one)));
    expect(gone).toEqual([]);
  });

  /** Whether another file makes the object and imports its content from this file. */
  const describes = (file: string, maker: string, kind: string) =>
    read(maker).includes(`from "./${relative(dirname(maker), file)}"`) && new RegExp(`\\b${kind}`).test(read(file));

  test.each(["dev", "prod"])("every object of %s is made by the file of its row", async (stack) => {
    vi.resetModules(); // the program runs on import
    // Without this, the providers would use these variables as settings of the stack.
    for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
    const made = (await recordStack(stack)).flatMap((resource) => {
      const { kind, metadata } = resource.inputs as Partial<ObjectInputs>;
      if (kind === undefined || metadata === undefined) return [];
      return [
        { object: { kind, namespace: metadata.namespace ?? "", name: metadata.name }, files: filesThatMade(resource) },
      ];
    });
    expect(made.length).toBeGreaterThan(50);
    const elsewhere = made
      .map(({ object, files }) => ({ object, files, row: rows.find((row) => matches(row, object))?.file ?? "" }))
      .filter(({ object, files: [maker = "", ...callers], row }) =>
        [maker, ...callers].includes(row) ? row === "index.ts" : !describes(row, maker, object.kind),
      );
    expect(elsewhere).toEqual([]);
  });
});
