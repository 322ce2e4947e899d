/**
 * Tests which changes of the checkout make a new image. `pulumi preview` compares a clone of the checkout with the deployed stack
 * `dev`. Pulumi uses the official Docker plugin if it is installed, or else Berth's stand-in. No image is built.
 */
import { appendFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { stackEnvironment } from "../local/pulumi/stack.ts";
import { ensureLanguageHost } from "../local/pulumi/tools.ts";
import { copyOfCheckout } from "../tests/checkout.ts";

/** The images that an `up` from the checkout would build. */
async function rebuilt(checkout: string): Promise<string[]> {
  await ensureLanguageHost();
  const preview = await execa("pulumi", ["preview", "--stack", "dev", "--json", "--show-sames", "--non-interactive"], {
    cwd: checkout,
    env: stackEnvironment(),
  });
  const { steps } = JSON.parse(preview.stdout) as { steps: { op: string; urn: string }[] };
  const images = steps.filter(({ urn }) => urn.includes("docker:index/image:Image::"));
  expect(images).toHaveLength(3);
  return images.filter(({ op }) => op !== "same").map(({ urn }) => urn.split("::").at(-1) ?? "");
}

test("a clone with other file dates makes no new image, and a change of a copied file makes only its image new", async () => {
  const clone = await copyOfCheckout();
  onTestFinished(() => rm(clone, { recursive: true }));
  const at = (file: string) => join(clone, file);
  for (const file of ["runtime/src/main.ts", "images/agent/files/usr/local/bin/berth-terminal"])
    await utimes(at(file), 0, 0);
  await appendFile(at("README.md"), "something else\n");
  await writeFile(at("runtime/src/new.test.ts"), "");
  expect(await rebuilt(clone)).toEqual([]);

  await appendFile(at("images/agent/files/usr/local/bin/berth-terminal"), "# one line\n");
  expect(await rebuilt(clone)).toEqual(["images-agent"]);

  await appendFile(at("runtime/src/main.ts"), "// one line\n");
  expect((await rebuilt(clone)).sort()).toEqual(["images-agent", "images-api"]);
});
