import { expect, test } from "vitest";
import { commandLine } from "./commandLine.ts";

test("plain words stay unchanged; others are quoted, so that the reader sees where each begins and ends", () => {
  expect(commandLine(["ls", "-l", "/home/agent"])).toBe("ls -l /home/agent");
  expect(commandLine(["sh", "-c", 'echo "a b"\nrm x', ""])).toBe(String.raw`sh -c "echo \"a b\"\nrm x" ""`);
});

test("a long command line is cut", () => {
  const line = commandLine(["echo", "x".repeat(4096)]);
  expect(line).toHaveLength(1_000);
  expect(line).toMatch(/x…$/);
});
