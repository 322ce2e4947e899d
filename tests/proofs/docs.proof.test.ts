/**
 * Runs the commands of README and docs, read from the Markdown files, page by page in a copy of the checkout.
 * tests/docs/pages.ts says how each command is run, or why it is not run.
 */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { root } from "../../machine/machine.ts";
import { copyOfCheckout } from "../checkout.ts";
import { type Decided, decide } from "../docs/decide.ts";
import { pages, type Run } from "../docs/pages.ts";
import { Shell } from "../docs/shell.ts";
import { upOrThrow } from "../pulumi.ts";
import { printTable } from "./table.ts";

/**
 * The default time limit of a command, in seconds, for a machine without other load. The real limit is four times as long (see
 * `patience` in testing/until.ts).
 */
const patience = 120;

const tenant = "initech";

let checkout: string;
let home: string;

beforeAll(async () => {
  checkout = await copyOfCheckout();
  // The packages are hard links, so that installing packages in the copy does not change this checkout.
  const packages = join(checkout, "node_modules");
  rmSync(packages);
  await execa("cp", ["-al", join(root, "node_modules"), packages]);
  rmSync(join(packages, ".cache"), { recursive: true, force: true });
  // With this setting, curl fails if the API answers with an error.
  home = mkdtempSync(join(tmpdir(), "berth-curl-"));
  writeFileSync(join(home, ".curlrc"), "fail-with-body\nsilent\nshow-error\n");
});

afterAll(async () => {
  for (const folder of [checkout, home]) if (folder) rmSync(folder, { recursive: true });
  // This removes the tenant of README and onboarding.md if a page has failed before its end or was run alone.
  if (await kubectl(["get", "namespace", `tenant-${tenant}`, "--ignore-not-found"])) {
    await upOrThrow({ change: (file) => void file.config["berth:tenants"].push({ name: tenant, remove: true }) });
    await upOrThrow();
  }
});

/** The environment of a user who has just cloned the repository, without variables of the stack. */
function userEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(BERTH_|PULUMI_|KUBECONFIG|DOCKER_HOST|VITEST|NODE_OPTIONS|npm_)/i;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
  // No user is there who could answer questions.
  return { ...env, CURL_HOME: home, CHECKOUT: root, PULUMI_SKIP_CONFIRMATIONS: "true", NO_COLOR: "1" };
}

const names = Object.keys(pages).filter((name) =>
  Object.values(pages[name]?.commands ?? {}).some((step) => !("not" in step)),
);

test.each(names)("%s", async (name) => {
  const { shell: kind, first, last } = pages[name] ?? {};
  await using cleanUp = new AsyncDisposableStack();
  const shell = cleanUp.use(new Shell(checkout, userEnvironment()));
  const given = async (text: string) => {
    const { exit, output } = await shell.run(text, 300);
    if (exit !== 0) throw new Error(`${name}: the preparation failed (${exit}): ${text}\n${output}`);
  };
  if (kind === "stack") await given('eval "$(npm run -s env)"');
  if (last) cleanUp.defer(() => given(`cd '${checkout}'\n${last}`));
  if (first) await given(first);

  const rows: { command: string; seconds: number }[] = [];
  for (const one of decide(name).decided) {
    if ("not" in one.step) continue;
    const began = performance.now();
    if (one.step.given) await given(one.step.given);
    if ("endOf" in one.step) appendFileSync(join(checkout, one.step.endOf), `${one.text}\n`);
    else await runs(shell, name, one, one.step);
    rows.push({ command: one.key, seconds: Math.round((performance.now() - began) / 100) / 10 });
  }
  printTable(`${name}: ${rows.length} commands as printed`, rows);
});

async function runs(shell: Shell, page: string, { text, line }: Decided, step: Run): Promise<void> {
  const { with: own = {}, seconds = patience, exit = 0, shows } = step;
  const command = Object.entries(own).reduce((done, [from, to]) => done.replaceAll(from, to), text);
  const ended = step.until
    ? await shell.runUntil(command, seconds, step.until)
    : await shell.run(command, seconds, step);
  const where = `${page}:${line} ${command}\n${ended.output.slice(-4_000)}`;
  expect(ended.exit, where).toBe(exit);
  if (shows) expect(shows.test(ended.output), `${shows} is not in the output: ${where}`).toBe(true);
}
