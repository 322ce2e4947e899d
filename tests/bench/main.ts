/**
 * `npm run bench` runs every `*.bench.ts` file of this folder, one after another, and prints a summary of the figures. `npm
 * run bench -- NAME…` runs only the files whose names begin with NAME. The exit code is 1 if a figure misses its target, a
 * file fails, or no file has such a name.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Figure, meets, parseFigure } from "./report.ts";

const wanted = process.argv.slice(2);
const files = globSync("*.bench.ts", { cwd: import.meta.dirname })
  .sort()
  .filter((file) => wanted.length === 0 || wanted.some((name) => file.startsWith(name)));

const figures: Figure[] = [];
const failed: string[] = [];
for (const file of files) {
  console.error(`\n${file}`);
  const child = spawn(process.execPath, [join(import.meta.dirname, file)], { stdio: ["ignore", "pipe", "inherit"] });
  createInterface(child.stdout).on("line", (line) => {
    const figure = parseFigure(line);
    if (figure === undefined) return console.error(line);
    figures.push(figure);
    console.error(`  ${line}`);
  });
  const [code] = await once(child, "close");
  if (code !== 0) failed.push(file);
}

console.log(`\n${"figure".padEnd(36)} ${"value".padStart(10)}  target`);
for (const figure of figures) {
  const { name, value, target } = figure;
  console.log(`${name.padEnd(36)} ${value.toFixed(2).padStart(10)}  ${target}${meets(figure) ? "" : "  MISSED"}`);
}
for (const file of failed) console.log(`${file} failed`);
if (files.length === 0) console.log(`the name of no benchmark begins with ${wanted.join(" or ")}`);
if (failed.length > 0 || files.length === 0 || !figures.every(meets)) process.exitCode = 1;
