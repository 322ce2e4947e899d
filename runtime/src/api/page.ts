/**
 * Reads the desktop's page, which consists of Berth's own files and those of noVNC. The paths of all these files begin with
 * /desktop, because an Ingress routes this prefix to Berth.
 */
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that `npm run build` writes. It is the same whether this file runs as a source or within dist/main.js. */
export const pageFolder = join(dirname(findPackageJSON(".", import.meta.url) ?? ""), "dist/page");

/**
 * The folder of the installed package noVNC. The files of its folder `core/` import files of its folder `vendor/` by relative
 * paths.
 */
export const noVncFolder = dirname(dirname(fileURLToPath(import.meta.resolve("@novnc/novnc"))));

/**
 * Allows files of this server, images in `data:` and `blob:` URLs, WebSockets, and inline styles, which noVNC needs.
 * Allows no inline scripts and no frames.
 */
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

/** The path of the page's files. `:version` is part of the path, so that browsers may cache the files for a year. */
export const assetsPath = "/desktop/assets/:version/";

interface Page {
  /** A hash of the page's files and of noVNC's package.json, which contains noVNC's version. */
  version: string;
  /** The HTML of the page, which names its files with their version. */
  html: string;
}

let read: Page | undefined;

/** The page as this process first read it, because its files don't change while a process runs. */
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
