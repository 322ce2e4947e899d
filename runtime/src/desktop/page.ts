/** The desktop's page: a few files of our own and noVNC's, all from this server. */
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
