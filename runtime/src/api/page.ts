/** The desktop's page: a few files of our own and noVNC's, all from this server and below /desktop, where an Ingress leads. */
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Built by `npm run build`; the same folder whether this runs as a source or as a part of dist/main.js. */
export const pageFolder = join(dirname(findPackageJSON(".", import.meta.url) ?? ""), "dist/page");

/** noVNC's package as npm installed it: `core/` and `vendor/` refer to each other by relative imports. */
export const noVncFolder = dirname(dirname(fileURLToPath(import.meta.resolve("@novnc/novnc"))));

/** Everything from this server, no inline scripts or styles but noVNC's own style attributes, framed by nobody. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "connect-src 'self' ws: wss:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** What the page loads. `:version` is part of each file's name, so that a browser may keep the file for good. */
export const assetsPath = "/desktop/assets/:version/";

interface Page {
  /** Names the content of the page's files, and noVNC's by its package. */
  version: string;
  /** The page itself, which names its files by their version. */
  html: string;
}

let read: Page | undefined;

/** The page as it was when this process first served it: its files do not change while a process runs. */
export function page(): Page {
  read ??= readPage();
  return read;
}

function readPage(): Page {
  const hash = createHash("sha256").update(readFileSync(join(noVncFolder, "package.json")));
  for (const file of globSync("*", { cwd: pageFolder }).sort()) hash.update(readFileSync(join(pageFolder, file)));
  const version = hash.digest("hex").slice(0, 12);
  const html = readFileSync(join(pageFolder, "desktop.html"), "utf8");
  return { version, html: html.replaceAll("/assets/VERSION/", `/assets/${version}/`) };
}
