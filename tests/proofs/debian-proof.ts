/** The proof of `npm run up` and `npm run down` on an unmodified Debian with systemd as its first process. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { boot, type Debian, hindrance } from "./debian.ts";
import { debianRoot } from "./debian-root.ts";
import { changesBetween, type Snapshot } from "./machine.ts";

const minutes = 60_000;

/** Services of packages that `up` installs. */
const services = ["containerd", "docker", "docker-registry", "etcd", "nginx"].map((name) => `${name}.service`);
services.push("docker.socket");

/** @param version the version of Debian. @param release the name of the version */
export function debianProof(version: number, release: string): void {
  let debian: Debian | undefined;
  let reason = hindrance();

  beforeAll(async () => {
    if (reason !== undefined) return;
    try {
      await debianRoot(release);
    } catch (error) {
      reason = `the packages of Debian ${version} are not available: ${(error as Error).message.trim().split("\n").at(-1)}`;
      return;
    }
    debian = await boot(release);
  }, 5 * minutes);

  afterAll(() => debian?.[Symbol.asyncDispose](), 2 * minutes);

  test(
    `Berth comes, runs a session and goes on Debian ${version} with systemd, and no service of its packages has run or will`,
    async ({ skip }) => {
      if (debian === undefined) return skip(reason);
      const { run, ask } = debian;
      const now = async () => JSON.parse(await ask("node tests/proofs/print-machine.ts")) as Snapshot;
      const before = await now();

      expect(await run("npm run up")).toContain("Berth is up");
      expect(await run("node tests/proofs/one-session.ts")).toMatch(/session \S+ is running/);
      expect(await ask("systemctl list-units --failed --plain --no-legend")).toBe("");
      const states = await ask(`systemctl show --property=UnitFileState,ActiveEnterTimestamp ${services.join(" ")}`);
      expect(new Set(states.split(/\n+/))).toEqual(new Set(["UnitFileState=disabled", "ActiveEnterTimestamp="]));

      await run("npm run down");
      expect(changesBetween(before, await now())).toEqual({});
    },
    13 * minutes,
  );
}
