import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { removeStaleLocks } from "./lock.ts";
let backend;
let lock;
beforeEach(() => {
    backend = mkdtempSync(join(tmpdir(), "berth-lock-"));
    const folder = join(backend, ".pulumi", "locks", "organization", "berth", "dev");
    mkdirSync(folder, { recursive: true });
    lock = join(folder, "one.json");
});
afterEach(() => rmSync(backend, { recursive: true }));
const write = (pid) => {
    writeFileSync(lock, JSON.stringify({ pid, username: "root", hostname: "here" }));
    writeFileSync(`${lock}.attrs`, "{}");
};
test("the lock of a process that is gone is removed", () => {
    write(2 ** 22 + 1);
    expect(removeStaleLocks(backend, "dev")).toBeUndefined();
    expect(existsSync(lock)).toBe(false);
    expect(existsSync(`${lock}.attrs`)).toBe(false);
});
test("so is one whose process number now belongs to another program", () => {
    write(process.pid);
    expect(removeStaleLocks(backend, "dev")).toBeUndefined();
    expect(existsSync(lock)).toBe(false);
});
test("and one that was half written", () => {
    writeFileSync(lock, '{"pid":');
    expect(removeStaleLocks(backend, "dev")).toBeUndefined();
    expect(existsSync(lock)).toBe(false);
});
test("the lock of a pulumi that runs stays", () => {
    const program = join(backend, "pulumi");
    copyFileSync("/bin/sleep", program);
    const child = spawn(program, ["60"]);
    try {
        write(child.pid);
        expect(removeStaleLocks(backend, "dev")).toBe(child.pid);
        expect(existsSync(lock)).toBe(true);
    }
    finally {
        child.kill();
    }
});
test("a stack that was never locked is free", () => {
    expect(removeStaleLocks(backend, "prod")).toBeUndefined();
});
