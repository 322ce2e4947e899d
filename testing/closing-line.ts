/** A vitest reporter: the last line says in plain words how the whole run ended. */
import type { Reporter, TestModule } from "vitest/node";
import { closingLine, count } from "./counts.ts";

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const line = closingLine(count(modules, errors));
    process.on("exit", () => console.log(`\n${line}`));
  }
}
