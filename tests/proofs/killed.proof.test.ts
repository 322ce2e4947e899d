/**
 * The proof ends `up` by SIGKILL while npm installs the packages, in each step of the cluster's start, and several times during
 * the deployment. Before the start of the cluster, the machine has only the cached programs of Berth. The next `up` continues,
 * and after `down --purge` nothing but the cache is left. The proof uses a separate Berth, beside the Berth that may already run
 * on the machine.
 *
 * With BERTH_KILLED=cluster, the proof installs no packages and deploys no stack. On a machine that has other work to do, set
 * BERTH_KILLED=cluster and start the proof with `unshare --net --mount --pid --fork --mount-proc`.
 */
import { existsSync, globSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { cgroupFolders } from "../../local/lib/cgroups.ts";
import { root } from "../../machine/machine.ts";
import { copyOfCheckout } from "../checkout.ts";
import type { Kill } from "./kill-self.ts";
import { berth, env, name, purge, stateDir } from "./second-berth.ts";

const minutes = 60_000;
const cluster = ["tests/proofs/cluster-only.ts"];
const all = ["local/main.ts", "up"];

/** Runs `up`, and kills it in the given step. */
const killed = (command: string[], kill: Kill) =>
  berth(["--import", join(root, "tests/proofs/kill-self.ts"), ...command], {
    env: { ...env, BERTH_KILL: JSON.stringify(kill) },
    reject: false,
  });

/** Returns the steps that `up` has printed, in the order in which they began: each step's title and duration in `ms`. */
function stepsOf(output: string): Kill[] {
  const titles = [...output.matchAll(/^· (.*)$/gm)].map(([, title = ""]) => title);
  const ends = [...output.matchAll(/^✓ (.*) \(([\d.]+) s\)$/gm)];
  const secondsOf = (title: string) =>
    Number(ends.find(([, end = ""]) => end === title || end.startsWith(`${title}: `))?.[2]);
  return titles.map((title) => ({ title, ms: Math.round(secondsOf(title) * 1000) }));
}

/** Returns what is left of the separate Berth on the machine: network links, folders, cgroups and processes. */
async function left(): Promise<string[]> {
  const links = (await execa("ip", ["-brief", "link"])).stdout.split("\n").filter((line) => line.startsWith(name));
  const folders = [stateDir, `/run/${name}`].filter(existsSync);
  const cgroups = [name, `${name}-docker`].flatMap((group) => globSync(cgroupFolders(group)));
  const processes = globSync("/proc/[0-9]*")
    .filter((process) => read(`${process}/environ`).includes(`BERTH_NAME=${name}\0`))
    .map((process) => read(`${process}/cmdline`).replaceAll("\0", " "));
  return [...links, ...folders, ...cgroups, ...processes];
}

function read(file: string, reader: (file: string) => string = (name) => readFileSync(name, "utf8")): string {
  try {
    return reader(file);
  } catch {
    return ""; // the process has ended meanwhile
  }
}

/** Returns the lines of `status` for parts that are not in order. */
async function missing(): Promise<string[]> {
  const { stdout } = await berth(["local/main.ts", "status"], { stdout: "pipe", reject: false });
  return `${stdout}`.split("\n").filter((line) => !line.startsWith("✓"));
}

beforeAll(purge, minutes); // removes what an interrupted run has left
afterAll(purge, minutes);

test(
  "after `up` is killed while npm installs the packages, npm has ended, and the next command installs them",
  async ({ skip }) => {
    skip(process.env.BERTH_KILLED === "cluster", "with BERTH_KILLED=cluster, npm may have no network");
    const checkout = await copyOfCheckout();
    onTestFinished(() => rmSync(checkout, { recursive: true }));
    const packages = join(checkout, "node_modules");
    rmSync(packages); // the link to the packages of this checkout
    const install = () => execa("sh", ["local/setup.sh"], { cwd: checkout, stdio: "inherit", reject: false });
    const runsNpm = (process: string) =>
      read(`${process}/cwd`, readlinkSync).startsWith(checkout) && read(`${process}/cmdline`).startsWith("npm");

    const command = install();
    await until("npm writes the packages", 60, () => globSync("*/package.json", { cwd: packages }).length > 0);
    command.kill("SIGKILL");
    expect((await command).signal).toBe("SIGKILL");
    await until("npm has ended", 10, () => !globSync("/proc/[0-9]*").some(runsNpm));
    expect((await install()).exitCode).toBe(0);
    expect(existsSync(join(packages, ".berth-setup"))).toBe(true);
  },
  10 * minutes,
);

test(
  "after `up` is killed in any step, the next `up` completes the start, and a purge leaves nothing behind",
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
  "after `up` is killed repeatedly during the deployment, the next `up` completes it, and `down` keeps everything that was deployed",
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

/** Starts the whole Berth. @returns the tenant's key, which `up` prints */
async function upWithKey(): Promise<string> {
  const { stdout } = await berth(all, { stdout: ["inherit", "pipe"] });
  const [key] = `${stdout}`.match(/berth_acme_\w+/) ?? [];
  if (key === undefined) throw new Error("`up` printed no key of the tenant acme");
  return key;
}
