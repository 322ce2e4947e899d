/** A bash that runs commands one after another and keeps variables and working directory, as a reader's terminal does. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hopeless, until } from "@berth/testing/until.ts";
import type { Run } from "./pages.ts";

export interface Ended {
  exit: number;
  /** Standard output and standard error of the command. */
  output: string;
}

export class Shell implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "berth-docs-"));
  readonly #in = join(this.#folder, "in");
  readonly #out = join(this.#folder, "out");
  readonly #exit = join(this.#folder, "exit");
  readonly #bash: ChildProcess;
  #count = 0;

  constructor(cwd: string, env: NodeJS.ProcessEnv) {
    // The shell has its own process group, so that a hanging program can be ended together with the shell.
    this.#bash = spawn("bash", ["--norc", "--noprofile"], {
      cwd,
      env,
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
  }

  /** Runs a command. Its standard input is `stdin` (default: empty), or `types` without an end (see `Run` in pages.ts). */
  async run(text: string, seconds: number, { stdin = "", types }: Pick<Run, "stdin" | "types"> = {}): Promise<Ended> {
    writeFileSync(this.#in, types ?? stdin);
    // A pipe that is also open for writing never reaches its end.
    const pipe = `rm -f '${this.#in}.pipe'; mkfifo '${this.#in}.pipe'; exec 3<>'${this.#in}.pipe'; cat '${this.#in}' >&3`;
    const from = types === undefined ? `<'${this.#in}'` : "<&3";
    if (types !== undefined) this.#send(pipe);
    // The exit code is written last. It is complete as soon as its file has the final name.
    this.#send(
      `{ ${text}\n} ${from} >'${this.#out}' 2>&1`,
      `echo $? >'${this.#exit}.new'; mv '${this.#exit}.new' '${this.#name()}'`,
    );
    const exit = await this.#wait(text, seconds, () => readFileSync(this.#exit + this.#count, "utf8"));
    return { exit: Number(exit), output: readFileSync(this.#out, "utf8") };
  }

  /** Runs a command that does not end by itself. As soon as its output matches `wanted`, ends the command. */
  async runUntil(text: string, seconds: number, wanted: RegExp): Promise<Ended> {
    // With job control, each job has its own process group, which can be ended as a whole.
    this.#send(`set -m; { ${text}\n} </dev/null >'${this.#out}' 2>&1 & job=$!; set +m`);
    this.#name();
    const output = await this.#wait(text, seconds, () => {
      const seen = readFileSync(this.#out, "utf8");
      return wanted.test(seen) && seen;
    });
    await this.run('kill -- "-$job"; wait "$job"', 10);
    return { exit: 0, output };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid } = this.#bash;
    if (pid !== undefined) {
      // Running programs get SIGINT, as from Ctrl-C, so that Pulumi releases its lock before it ends.
      this.#bash.stdin?.end();
      this.#signal("SIGINT");
      await until("all programs of the shell have ended", 60, () => !this.#signal(0)).catch(() =>
        this.#signal("SIGKILL"),
      );
    }
    rmSync(this.#folder, { recursive: true });
  }

  /** @returns whether the shell's process group still has a process */
  #signal(signal: NodeJS.Signals | 0): boolean {
    try {
      return process.kill(-(this.#bash.pid ?? 0), signal);
    } catch {
      return false;
    }
  }

  #name(): string {
    this.#count += 1;
    return this.#exit + this.#count;
  }

  #send(...lines: string[]): void {
    rmSync(this.#out, { force: true });
    this.#bash.stdin?.write(`${lines.join("\n")}\n`);
  }

  async #wait<T>(text: string, seconds: number, read: () => T) {
    return until(`the end of: ${text}`, seconds, () => {
      if (this.#bash.exitCode !== null) throw new Hopeless(`the shell ended in: ${text}`);
      return read();
    }).catch((error: Error) => {
      const output = readFileSync(this.#out, "utf8");
      throw new Error(`${error.message}\n${output.slice(-4_000)}`, { cause: error });
    });
  }
}
