/** The runtime may do what its code calls, and nothing more. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { rolesWith } from "./roles.ts";

const source = (path: string) => readFileSync(new URL(`../../runtime/src/${path}`, import.meta.url), "utf8");

const verbs: Record<string, string> = { create: "create", read: "get", list: "list", delete: "delete" };
const resources: Record<string, string> = {
  Secret: "secrets",
  Pod: "pods",
  PersistentVolumeClaim: "persistentvolumeclaims",
  Event: "events",
};

/** What the client type of the worker allows it to call, for example "get secrets". */
function workerCalls(): string[] {
  const [, type = ""] = /export type CoreApi = Pick<\s*CoreV1Api,([^>]*)>/.exec(source("cluster/kubernetes.ts")) ?? [];
  return type.split("|").flatMap((line) => {
    const [, verb = "", kind = ""] = /"(\w+?)Namespaced(\w+)"/.exec(line) ?? [];
    if (verb === "") return [];
    const right = `${verbs[verb]} ${resources[kind]}`;
    return line.includes("and watch") ? [right, right.replace("list", "watch")] : [right];
  });
}

const rightsOf = (account: string, gateway: "api" | "gateway" = "api") =>
  rolesWith(gateway)
    .filter((one) => one.account === account)
    .flatMap(({ rules }) => rules.flatMap((rule) => rule.verbs.map((verb) => `${verb} ${rule.resources[0]}`)));

test("the worker's rights are the calls of its client type, and the logs that it keeps", () => {
  expect(source("cluster/logTail.ts")).toContain('Pick<PodAccess, "logs">');
  expect(rightsOf("worker").sort()).toEqual([...workerCalls(), "get pods/log"].sort());
});

test("whoever is the gateway reads logs, and an API beside one may do nothing", () => {
  expect(source("cluster/podAccess.ts")).toContain("/log?"); // its only request
  expect(rightsOf("api")).toEqual(["get pods/log"]);
  expect(rightsOf("gateway", "gateway")).toEqual(["get pods/log"]);
  expect(rightsOf("api", "gateway")).toEqual([]);
});

test("no right reaches beyond the tenant's own namespace or is a wildcard", () => {
  expect(JSON.stringify(rolesWith("gateway"))).not.toContain("*");
});
