/** A real Chromium from Debian, controlled by Playwright. */
import { patience } from "@berth/testing/until.ts";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { PNG } from "pngjs";

/** Starts Chromium without the functions that contact servers by themselves. `more` are further arguments. */
export function launch(...more: string[]): Promise<Browser> {
  const quiet = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"];
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-sync", ...quiet, ...more],
  });
}

/** The time limit of an action on a page in milliseconds. Playwright's own limit of 30 s is too short for a busy machine. */
export const actionMs = 30_000 * patience;

/** Opens a page in a new browser context, which ends with the page. */
export async function openPage(browser: Browser, options?: BrowserContextOptions): Promise<Page> {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(actionMs);
  return page;
}

/** Returns the fraction, 0 to 1, of pixels that differ between two screenshots of the same size. */
export function difference(before: Buffer, after: Buffer): number {
  const [a, b] = [PNG.sync.read(before), PNG.sync.read(after)];
  if (a.width !== b.width || a.height !== b.height) return 1;
  let differing = 0;
  for (let at = 0; at < a.data.length; at += 4) if (a.data.readUInt32LE(at) !== b.data.readUInt32LE(at)) differing++;
  return differing / (a.width * a.height);
}

/** Whether all pixels of a screenshot have the same colour. */
export function isBlank(shot: Buffer): boolean {
  const { data } = PNG.sync.read(shot);
  return data.equals(Buffer.alloc(data.length, data.subarray(0, 4)));
}
