/**
 * `up` is ended by SIGKILL in each step that it prints, on a machine that has nothing of Berth but its programs; the next one
 * goes on, and after `down --purge` nothing is left of both. The Berth is one of its own, beside the one that may be there.
 *
 * With BERTH_KILLED=cluster without a stack, for a machine that has other work, within
 * `unshare --net --mount --pid --fork --mount-proc`.
 */
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cgroupFolders } from "../../local/lib/cgroups.ts";
import { root } from "../../machine/machine.ts";
import type { Kill } from "./kill-self.ts";
import { berth, env, name, purge, stateDir } from "./second-berth.ts";

const minutes = 60_000;
const cluster = ["tests/proofs/cluster-only.ts"];
const all = ["local/main.ts", "up"];

/** Runs `up`, and ends it there. */
const killed = (command: string[], kill: Kill) =>
  berth(["--import", join(root, "tests/proofs/kill-self.ts"), ...command], {
    env: { ...env, BERTH_KILL: JSON.stringify(kill) },
    reject: false,
  });

/** The titles of the steps that `up` has printed, in the order of their beginnings, with what each took in milliseconds. */
function stepsOf(output: string): Kill[] {
  const titles = [...output.matchAll(/^· (.*)$/gm)].map(([, title = ""]) => title);
  const ends = [...output.matchAll(/^✓ (.*) \(([\d.]+) s\)$/gm)];
  const secondsOf = (title: string) =>
    Number(ends.find(([, end = ""]) => end === title || end.startsWith(`${title}: `))?.[2]);
  return titles.map((title) => ({ title, ms: Math.round(secondsOf(title) * 1000) }));
}

/** All that there is of the second Berth. */
async function left(): Promise<string[]> {
  const links = (await execa("ip", ["-brief", "link"])).stdout.split("\n").filter((line) => line.startsWith(name));
  const folders = [stateDir, `/run/${name}`].filter(existsSync);
  const policy = read("/usr/sbin/policy-rc.d").includes("Berth's") ? ["services may not start"] : [];
  const cgroups = [name, `${name}-docker`].flatMap((group) => globSync(cgroupFolders(group)));
  const processes = globSync("/proc/[0-9]*")
    .filter((process) => read(`${process}/environ`).includes(`BERTH_NAME=${name}\0`))
    .map((process) => read(`${process}/cmdline`).replaceAll("\0", " "));
  return [...links, ...folders, ...policy, ...cgroups, ...processes];
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // it has ended meanwhile
  }
}

/** What `status` says of each part that is not as it should be. */
async function missing(): Promise<string[]> {
  const { stdout } = await berth(["local/main.ts", "status"], { stdout: "pipe", reject: false });
  return `${stdout}`.split("\n").filter((line) => !line.startsWith("✓"));
}

beforeAll(purge, minutes); // of a run that was interrupted
afterAll(purge, minutes);

test(
  "a start that is killed in any of its steps is taken up by the next one, and nothing of both stays after a purge",
  async () => {
    const whole = await berth(cluster, { stdout: ["inherit", "pipe"] });
    const steps = stepsOf(`${whole.stdout}`);
    expect(steps.map(({ title }) => title)).toEqual(expect.arrayContaining(["Debian packages", "Docker daemon"]));
    for (const { title, ms } of steps) {
      await purge();
      expect(await left(), `before the start that is killed in: ${title}`).toEqual([]);
      console.log(`▶ killed in the step: ${title}, which took ${ms} ms`);
      expect((await killed(cluster, { title, ms: Math.round(ms / 2) })).signal).toBe("SIGKILL");
      await berth(cluster);
      expect(await missing()).toEqual([expect.stringContaining("stack dev")]);
    }
    await purge();
    expect(await left()).toEqual([]);
  },
  13 * minutes,
);

test(
  "one that is killed again and again while it deploys is taken up as well, and `down` keeps all that was deployed",
  async ({ skip }) => {
    skip(process.env.BERTH_KILLED === "cluster", "BERTH_KILLED=cluster asks for no stack");
    for (const ms of [5_000, 20_000, 40_000])
      expect((await killed(all, { title: "Stack dev", ms })).signal).toBe("SIGKILL");
    const key = await upWithKey();
    expect(await missing()).toEqual([]);
    await berth(["local/main.ts", "down"]);
    expect(await left(), "after `down`, which keeps the state").toEqual([stateDir, `/run/${name}`]);
    expect(await upWithKey()).toBe(key);
  },
  10 * minutes,
);

/** Starts all of it. @returns the tenant's key, which `up` prints */
async function upWithKey(): Promise<string> {
  const { stdout } = await berth(all, { stdout: ["inherit", "pipe"] });
  const [key] = `${stdout}`.match(/berth_acme_\w+/) ?? [];
  if (key === undefined) throw new Error("`up` printed no key of the tenant acme");
  return key;
}
