/** Tests that the runtime has only the permissions that its code needs. */
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

/** The calls that the type of the worker's client allows, for example "get secrets". */
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

test("the worker may make only the calls of its client's type and read logs", () => {
  expect(source("cluster/logTail.ts")).toContain('Pick<PodAccess, "logs">');
  expect(rightsOf("worker").sort()).toEqual([...workerCalls(), "get pods/log"].sort());
});

test("the gateway may read logs, and the API has no permission if the gateway has separate pods", () => {
  expect(source("cluster/podAccess.ts")).toContain("/log?"); // its only request
  expect(rightsOf("api")).toEqual(["get pods/log"]);
  expect(rightsOf("gateway", "gateway")).toEqual(["get pods/log"]);
  expect(rightsOf("api", "gateway")).toEqual([]);
});

test("every permission is limited to the tenant's namespace and contains no wildcard", () => {
  expect(JSON.stringify(rolesWith("gateway"))).not.toContain("*");
});
