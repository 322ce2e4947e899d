/** Every object of the reviewed stacks keeps the rules or has an exception, and every exception is necessary. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Exception, exceptionFor, exceptions } from "./exceptions.ts";
import { type KubernetesObject, kubernetesObject } from "./kubernetes.ts";
import type { Rule } from "./rule.ts";
import { rules } from "./rules/index.ts";

function objectsOf(stack: string): KubernetesObject[] {
  const golden = new URL(`../infra/testdata/${stack}.golden.json`, import.meta.url);
  const recorded: { type: string; name: string; inputs: object; protect?: true; read?: true }[] = JSON.parse(
    readFileSync(golden, "utf8"),
  );
  return recorded
    .filter(({ read }) => !read)
    .flatMap(({ type, name, inputs, protect = false }) => {
      const urn = `urn:pulumi:${stack}::berth::${type}::${name}`;
      return kubernetesObject({ type, name, urn, props: inputs, opts: { protect } }) ?? [];
    });
}

test("dev and prod break only the rules that have an exception, and every exception is necessary", () => {
  const needed = new Set<Exception>();
  const violations: string[] = [];
  for (const stack of ["dev", "prod"]) {
    const all = objectsOf(stack);
    expect(all.length).toBeGreaterThan(20);
    for (const object of all)
      for (const { name, check } of rules satisfies Rule[]) {
        const faults = check(object, all);
        const exception = exceptionFor(name, object, stack);
        if (exception && faults.length > 0) needed.add(exception);
        else violations.push(...faults.map((fault) => `${stack}: ${object.kind} ${object.resource}: ${fault}`));
      }
  }
  expect(violations).toEqual([]);
  expect(exceptions.filter((exception) => !needed.has(exception))).toEqual([]);
});
