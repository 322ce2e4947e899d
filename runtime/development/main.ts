/**
 * `node development/main.ts api|worker`: runs a role of the runtime from its sources, and restarts it when a source changes.
 *
 * Most of a start's time goes into loading the packages, which do not change. So a second process loads all packages in
 * advance and waits. After a change, the waiting process runs the role. A change thus costs only the transpiling of our
 * sources and the start of the role: well below a second. Types are not checked here; the editor and `npm run check` check them.
 */
import { type ChildProcess, execFile, fork } from "node:child_process";
import { once } from "node:events";
import { watch as watchFolder } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { watch } from "rolldown";
import { bundleOfSources, root } from "./bundle.ts";

const role = process.argv[2] ?? "";
const say = (message: string) => console.error(`development: ${message}`);

/** How long the previous process may take to end after SIGTERM. Its remaining work is not worth a longer wait. */
const graceMs = 1_000;
/** The next process is started in advance this many milliseconds after the role, because the role needs the CPU first. */
const standByMs = 2_000;

const standBy = () => fork(join(root, "development/process.ts"), [role]);
let next: ChildProcess | undefined = standBy();
let running: ChildProcess | undefined;

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  child.kill("SIGTERM");
  await once(child, "exit");
  clearTimeout(timer);
}

/** Builds the desktop's page. A process of the API reads the page only once, so none runs during the build. */
async function buildPage(): Promise<void> {
  await promisify(execFile)("npm", ["run", "--silent", "build:page"], { cwd: root }).catch(({ stdout }) =>
    say(`page: ${stdout}`),
  );
}
let isPageBuilt = role !== "api";

async function restart(): Promise<void> {
  if (running) await end(running);
  const build = !isPageBuilt;
  isPageBuilt = true; // a change during the build sets this to false again
  if (build) await buildPage();
  running = next ?? standBy();
  next = undefined;
  running.send("run");
  setTimeout(() => (next ??= standBy()), standByMs);
}

const sources = watch(bundleOfSources);
let restarts = Promise.resolve();
sources.on("event", (event) => {
  if (event.code === "ERROR") say(event.error.message);
  if (event.code === "BUNDLE_END") restarts = restarts.then(restart);
  if ("result" in event) void event.result?.close();
});

if (role === "api") {
  let timer: NodeJS.Timeout | undefined;
  watchFolder(join(root, "page"), () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      isPageBuilt = false;
      if (running) restarts = restarts.then(restart);
    }, 100);
  });
}

for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.once(signal, async () => {
    await sources.close();
    next?.kill("SIGKILL");
    if (running) await end(running);
    process.exit(0);
  });
