/**
 * Runs the runtime as separate processes against the cluster. The processes run the same program that `npm run up` deploys,
 * but outside the cluster, so a test can kill them easily.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { onTestFailed, onTestFinished } from "vitest";
import type { Tenant } from "../domain/tenants.ts";
import { type TenantNamespace, watcher } from "./cluster.ts";
import { freshDatabase, keyOf, tenantsFile } from "./fixtures.ts";
import { startKubeFront } from "./kubeFront.ts";
import { environment, kubeconfig, type Program, runProgram } from "./program.ts";
import { debianImage, waitForEnd } from "./shrink.ts";

export interface Member {
  /** Sends SIGKILL. Resolves when the process has ended. */
  kill: () => Promise<void>;
  /** Starts the process with the same ports as before. `nodeArgs`: options of Node.js. */
  start: (nodeArgs?: string[]) => void;
  /** The output since the last start. */
  log: Program["log"];
}

export interface Ask {
  body?: object;
  headers?: Record<string, string>;
  /** The tenant whose key is used. Default acme. */
  tenant?: string;
}

/** How many lines of each process a failed test shows. */
const shownLines = 100;

/**
 * An API and workers with their own new database and small pods. The caller starts the processes. `tenants`: the tenants
 * besides acme. If the test fails, the last lines of each process are shown.
 */
export async function openFleet(
  place: TenantNamespace,
  { workers, tenants = [] }: { workers: number; tenants?: Tenant[] },
) {
  const { name, database } = await freshDatabase(place.stores);
  const front = await startKubeFront({ agent: waitForEnd });
  const folder = mkdtempSync(join(tmpdir(), "berth-fleet-"));
  onTestFinished(async () => {
    await front.close();
    rmSync(folder, { recursive: true });
  });
  const settings = {
    KUBECONFIG: kubeconfig(folder, front.url),
    LEASE_NAMESPACE: place.namespace,
    AGENT_IMAGE: debianImage,
    BERTHD_IMAGE: debianImage,
    RATE_LIMIT_PER_MINUTE: "100000",
  };
  const tenantsPath = tenantsFile(place.acme, ...tenants);
  const member = async (role: string): Promise<Member & { port: string }> => {
    const env = await environment(name, tenantsPath, settings, place.stores);
    let program: Program | undefined;
    onTestFailed(() => {
      if (program === undefined) return console.error(`${role} was not started`);
      const { exitCode } = program.child; // null if the test killed it
      const lines = program.output().trimEnd().split("\n").slice(-shownLines);
      const end = exitCode === null ? "" : `, which ended with ${exitCode}`;
      console.error(`${role} on port ${env.HTTP_PORT}${end}:\n${lines.join("\n")}`);
    });
    return {
      port: env.HTTP_PORT,
      kill: async () => {
        program?.child.kill("SIGKILL");
        await program?.exit;
      },
      start: (nodeArgs = []) => {
        program = runProgram([role], env, nodeArgs);
      },
      log: () => program?.log() ?? [],
    };
  };
  const api = await member("api");
  const members = await Promise.all(Array.from({ length: workers }, () => member("worker")));
  return {
    database,
    ...watcher(database),
    front,
    api,
    workers: members,
    /** Repeats the call after 503 or a broken connection. So a try without an answer may already have had its effect. */
    ask: (method: string, path: string, { body, headers = {}, tenant = "acme" }: Ask = {}) =>
      until(`the API answers ${method} ${path}`, 300, async () => {
        const response = await fetch(`http://127.0.0.1:${api.port}${path}`, {
          method,
          headers: {
            authorization: `Bearer ${keyOf(tenant)}`,
            ...(body !== undefined && { "content-type": "application/json" }),
            ...headers,
          },
          ...(body !== undefined && { body: JSON.stringify(body) }),
        });
        const text = await response.text();
        if (response.status === 503) throw new Error(`503: ${text}`);
        return { status: response.status, json: text === "" ? undefined : JSON.parse(text) };
      }),
  };
}
