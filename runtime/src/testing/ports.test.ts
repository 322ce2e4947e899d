import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { freePorts } from "./ports.ts";

test("processes that would start with the same range never give out the same port", async () => {
  const mine = await freePorts(10);
  // The script starts with the same range as this process, because it pretends to have this process's id.
  const script = `Object.defineProperty(process, "pid", { value: ${process.pid} });
    const { freePorts } = await import(${JSON.stringify(new URL("./ports.ts", import.meta.url).href)});
    console.log(JSON.stringify(await freePorts(10)));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
  const others: number[] = JSON.parse(stdout);
  expect(new Set([...mine, ...others]).size).toBe(20);
});
