/**
 * A part of `npm run check:berthd`: runs `go vet` and the Go tests in the current folder. Unlike `go test`, it also names each
 * test that skipped itself, with the reason.
 */
import { execa } from "execa";
import { goEnvironment, goFlags } from "../../local/lib/go.ts";

/** A line of `go test -json`. Lines about a package as a whole have no `Test`. */
interface Event {
  Action: string;
  Package?: string;
  Test?: string;
  Output?: string;
}

/**
 * Returns what to print: the result of each package, what the compiler says, and the output of each test that failed or skipped
 * itself. Pure.
 * @param lines the output of `go test -json`. Lines that are not JSON are returned as they are
 */
export function report(lines: readonly string[]): string {
  const outputs = new Map<string, string>();
  let text = "";
  for (const line of lines) {
    if (!line.startsWith("{")) {
      text += `${line}\n`;
      continue;
    }
    const { Action, Package, Test, Output = "" } = JSON.parse(line) as Event;
    if (Test === undefined) {
      if (Output !== "PASS\n") text += Output;
      continue;
    }
    const test = `${Package} ${Test}`;
    outputs.set(test, `${outputs.get(test) ?? ""}${Output}`);
    if (Action === "fail" || Action === "skip") text += outputs.get(test);
  }
  return text;
}

if (import.meta.main) {
  // With other flags for vet, the tests, or the program that the tests build, Go would compile its standard library again.
  const env = { ...goEnvironment, GOFLAGS: `${process.env.GOFLAGS ?? ""} ${goFlags.join(" ")}` };
  const vet = await execa("go", ["vet", "./..."], { env, stdio: "inherit", reject: false });
  if (vet.failed) process.exit(vet.exitCode ?? 1);
  const { stdout, exitCode } = await execa("go", ["test", "-json", "./..."], {
    env,
    stderr: "inherit",
    lines: true,
    reject: false,
  });
  process.stdout.write(report(stdout));
  process.exitCode = exitCode ?? 1;
}
