/** What is in the images that run in the cluster, and what is not. */
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { docker, dockerHost } from "../docker.ts";
import { registry } from "../lib/paths.ts";
import { localName } from "./registry.ts";
const nodeRuntime = localName("gcr.io/distroless/nodejs24-debian13:nonroot");
const api = `${registry}/berth/api:dev`;
const agent = `${registry}/berth/agent:dev`;
const shells = ["sh", "ash", "bash", "busybox", "dash", "ksh", "zsh"];
const packageManagers = ["apk", "apt", "apt-get", "corepack", "dpkg", "npm", "npx", "pip", "pnpm", "yarn"];
/** How a hardened pod runs its containers. */
const restricted = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"];
describe.each([
    ["runtime base", nodeRuntime],
    ["API image", api],
])("%s", (_, image) => {
    test("has neither a shell nor a package manager", async () => {
        const programs = (await files(image)).filter(({ mode }) => /^[-l]/.test(mode) && mode.includes("x"));
        const names = new Set(programs.map(({ path }) => basename(path)));
        expect(names).toContain("node");
        expect([...shells, ...packageManagers].filter((name) => names.has(name))).toEqual([]);
    });
    test("runs as a user that isn't root", async () => {
        expect(Number((await config(image)).User.split(":")[0])).toBeGreaterThanOrEqual(10_000);
    });
});
test("API image: its files can't be changed by the user that runs them", async () => {
    const own = (await files(api)).filter(({ path }) => /^(app|node_modules)\//.test(path));
    expect(own.length).toBeGreaterThan(100);
    expect(own.filter(({ mode, owner }) => owner !== "0/0" || (mode[0] !== "l" && mode[8] === "w"))).toEqual([]);
});
describe("agent image", () => {
    test("gives nobody another user's rights", async () => {
        const all = await files(agent);
        expect(all.filter(({ mode }) => mode.startsWith("-") && /s/i.test(mode))).toEqual([]);
        expect(all.filter(({ path }) => ["sudo", "doas", "gosu"].includes(basename(path)))).toEqual([]);
    });
    test("runs as uid 10001, which has a name and a home", async () => {
        expect((await config(agent)).User).toBe("10001:10001");
        const passwd = await docker(["run", "--rm", ...restricted, "--entrypoint=cat", agent, "/etc/passwd"]);
        expect(passwd).toContain("agent:x:10001:10001::/home/agent:/bin/bash");
    });
    test("brings up its desktop without any privilege, and ends cleanly when told to", async () => {
        const id = await docker(["run", "--detach", ...restricted, "--tmpfs=/tmp", agent]);
        try {
            const ready = () => docker(["exec", id, "berth-desktop-ready"]).then(() => true, () => false);
            for (let left = 100; !(await ready()); left--) {
                if (left === 0)
                    throw new Error(await docker(["logs", id]));
                await sleep(100);
            }
            await docker(["stop", "--time=20", id]);
            expect(await docker(["inspect", "--format={{.State.ExitCode}}", id])).toBe("0");
        }
        finally {
            await docker(["rm", "--force", id]);
        }
    });
});
test.each([
    ["API image", api],
    ["agent image", agent],
])("%s says what it is", async (_, image) => {
    const { Labels } = await config(image);
    for (const label of ["title", "description", "licenses"])
        expect(Labels?.[`org.opencontainers.image.${label}`]).toBeTruthy();
});
async function config(image) {
    await docker(["pull", "--quiet", image]);
    return JSON.parse(await docker(["inspect", "--format={{json .Config}}", image]));
}
/** Everything in the image's file system. */
async function files(image) {
    await docker(["pull", "--quiet", image]);
    const id = await docker(["create", image]);
    try {
        const env = { DOCKER_HOST: dockerHost };
        const { stdout } = await execa("docker", ["export", id], {
            env,
            encoding: "buffer",
            buffer: { stdout: false },
        }).pipe("tar", ["--list", "--verbose", "--numeric-owner"]);
        return stdout.split("\n").map((line) => {
            const [, mode = "", owner = "", path = ""] = /^(\S+) (\S+) +\d\S* \S+ \S+ (.*?)(?: -> .*)?$/.exec(line) ?? [];
            return { mode, owner, path };
        });
    }
    finally {
        await docker(["rm", id]);
    }
}
