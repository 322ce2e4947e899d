/**
 * `npm run down` ends all of the local cluster and keeps its state; with `--purge` nothing is left but the cache of programs,
 * and the next `npm run up` makes all anew.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { execa } from "execa";
import { afterAll, expect, test } from "vitest";
import { binDir, root, runDir, stateDir } from "../../local/lib/paths.ts";
import { readProc } from "../../local/lib/process.ts";
import { stackOutputs } from "../../local/pulumi/stack.ts";

const minutes = 60_000;
const npm = (...args: string[]) => execa("npm", ["run", "--silent", ...args], { cwd: root, all: true });

afterAll(() => npm("up"), 12 * minutes);

/** What of the cluster is on the machine: processes by their command lines, mounts, interfaces and rules. */
async function found() {
  const lines = async (command: string, ...args: string[]) => (await execa(command, args)).stdout.split("\n");
  const places = [`${binDir}/`, `${stateDir}/`, `${runDir}/`];
  const isOurs = (line: string) => places.some((place) => line.includes(place));
  return {
    processes: readdirSync("/proc")
      .map((pid) => readProc(Number(pid), "cmdline").join(" "))
      .filter(isOurs),
    mounts: readFileSync("/proc/self/mounts", "utf8").split("\n").filter(isOurs),
    interfaces: (await lines("ip", "-brief", "link")).filter((line) => /berth|cni|veth/.test(line)),
    rules: [...(await lines("iptables-save")), ...(await lines("nft", "list", "tables"))].filter((line) =>
      /berth|KUBE-|CNI-/.test(line),
    ),
  };
}

const nothing = { processes: [], mounts: [], interfaces: [], rules: [] };
const key = async () => (await stackOutputs("dev")).tenantKeys.acme?.default;

test(
  "`down` ends every process, and `up` goes on with the same state",
  async () => {
    const before = await key();
    expect((await found()).processes).not.toEqual([]);
    await npm("down");
    expect(await found()).toMatchObject({ processes: [], mounts: [] });
    expect((await npm("up")).all).toContain("Berth is up");
    expect(await key()).toBe(before);
  },
  5 * minutes,
);

test(
  "`down -- --purge` leaves nothing, twice is no fault, and `up` makes all anew",
  async () => {
    const before = await key();
    for (const _ of ["first", "second"]) {
      await npm("down", "--", "--purge");
      expect(await found()).toEqual(nothing);
      expect([stateDir, runDir].filter(existsSync)).toEqual([]);
    }
    expect((await npm("up")).all).toContain("Berth is up");
    expect(await key()).not.toBe(before);
  },
  10 * minutes,
);
