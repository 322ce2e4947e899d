/** A vitest reporter: the last line says in plain words how the whole run ended. */
import type { Reporter, TestModule } from "vitest/node";

export default class ClosingLine implements Reporter {
  /** A file that could not be loaded, and an error outside of any test, count as a failure each. */
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const broken = errors.length + modules.reduce((sum, module) => sum + module.errors().length, 0);
    process.on("exit", () => console.log(`\n${count("passed")} passed, ${count("failed") + broken} failed`));
  }
}
