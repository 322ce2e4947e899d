import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";

test("the program ends when nobody reads its output, although errors are written to that output", async () => {
  const program = `
    const { endWithoutReader } = await import("./without-engine.ts");
    endWithoutReader();
    process.on("uncaughtException", (error) => console.error(error)); // as Pulumi's SDK does
    console.error("ready");
    setInterval(() => console.error("one more line"), 20);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "ignore", "pipe"],
  });
  await once(child.stderr, "data");
  child.stderr.destroy();
  expect(await once(child, "exit")).toEqual([1, null]);
});
