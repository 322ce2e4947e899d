/**
 * A shape: a cluster that differs from the usual local cluster, with the config that Berth then needs. Each shape starts a new
 * local cluster, changes the cluster, deploys the stack `dev`, and passes the end-to-end test of a session.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { ensureStack } from "../../local/pulumi/stack.ts";
import { machine, root } from "../../machine/machine.ts";
import { destroyOrThrow, type StackFile, up, upOrThrow } from "../pulumi.ts";

export interface Shape {
  /** What is special about the shape. */
  what: string;
  /** Further variables for the start of the local cluster. Default: none. */
  variables?: Record<string, string>;
  /**
   * Changes the cluster, before the Pulumi stack is deployed. The functions that `prepare` adds to `cleanUp` are called after the
   * Pulumi stack is destroyed. Default: nothing.
   */
  prepare?: (cleanUp: AsyncDisposableStack) => Promise<void>;
  /** A config that `up` refuses before anything is made, and the text of the refusal. Default: none. */
  refused?: { change: (file: StackFile) => void; says: RegExp };
  /** Changes the config of Pulumi.dev.yaml. Default: no change. */
  change?: (file: StackFile) => void;
  /** Checks the stack after the end-to-end test. Default: nothing. */
  check?: () => Promise<void>;
}

/** Runs a program of the checkout for the shapes' Berth, and prints the program's output. */
const run = (program: string, args: string[], variables: Record<string, string> = {}) =>
  execa(program, args, {
    cwd: root,
    env: variables,
    preferLocal: true,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });

/**
 * Stops the cluster and removes its state. The local registry and Docker's cache stay, because to build the images again would
 * take most of the time of the next shape.
 */
async function removeCluster(): Promise<void> {
  await run(process.execPath, ["local/main.ts", "down"]);
  const { stateDir } = machine;
  const left = existsSync(stateDir) ? readdirSync(stateDir) : [];
  const stays = ["README", "docker", "registry"];
  for (const entry of left.filter((entry) => !stays.includes(entry)))
    rmSync(join(stateDir, entry), { recursive: true });
}

/** Defines the test of the shape. */
export function testShape({ what, variables, prepare, refused, change, check }: Shape): void {
  const cleanUp = new AsyncDisposableStack();

  beforeAll(async () => {
    await removeCluster(); // an interrupted run may have left a cluster
    cleanUp.defer(removeCluster);
    await run(process.execPath, ["tests/proofs/cluster-only.ts"], variables);
    await ensureStack("dev");
    await prepare?.(cleanUp);
  });

  afterAll(() => cleanUp.disposeAsync());

  if (refused !== undefined)
    test(`${what}: a config that does not fit is refused before anything is made`, async () => {
      const { failed, output, operations } = await up({ change: refused.change });
      expect({ failed, output }).toMatchObject({ failed: true, output: expect.stringMatching(refused.says) });
      // Pulumi's state then has the stack and Pulumi's own provider, and nothing of the cluster.
      expect(operations.filter((operation) => !/^create (Stack|pulumi) /.test(operation))).toEqual([]);
      expect(await kubectl(["get", "namespace", "berth", "--ignore-not-found"])).toBe("");
    });

  test(`${what}: the stack is deployed, and passes the end-to-end test of a session`, async () => {
    cleanUp.defer(() => destroyOrThrow());
    await upOrThrow(change ? { change } : {});
    await run("vitest", ["run", "--project", "e2e", "tests/session.e2e.test.ts"]);
    await check?.();
  });
}

/** Returns the DNS settings of the API's pod. */
export const resolvConf = (): Promise<string> =>
  kubectl([
    ...["--namespace=berth", "exec", "deploy/api", "--"],
    ...["/nodejs/bin/node", "-p", 'require("fs").readFileSync("/etc/resolv.conf", "utf8")'],
  ]);
