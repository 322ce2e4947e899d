/** A vitest reporter. Its last line gives the result of the whole run in plain words. */
import type { Reporter, TestModule, Vitest } from "vitest/node";
import { closingLine, count } from "./counts.ts";

export default class ClosingLine implements Reporter {
  #wanted: RegExp | undefined;

  onInit({ config }: Vitest): void {
    this.#wanted = config.testNamePattern;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const line = closingLine(count(modules, errors, this.#wanted));
    process.on("exit", () => console.log(`\n${line}`));
  }
}
