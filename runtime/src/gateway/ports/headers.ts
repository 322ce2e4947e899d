/** Decides which headers and cookies go from the client to a session's program and back. No I/O. */
import type { IncomingHttpHeaders } from "node:http";

/** The header for Berth's key or token, because the header `authorization` belongs to the session's program. */
export const tokenHeader = "x-berth-token";

const ours = /^x-berth-/;
const isOurCookie = (name: string) => /^(__host-|__secure-)?berth-port$/i.test(name);

/**
 * The prefix of programs' cookies in browsers, if sessions share a host. To that host, browsers also send cookies that other
 * servers have set for a parent domain. Such cookies lack this prefix, so programs don't get them.
 */
const ofProgram = "berth-program-";

/** Headers that apply to one connection only, and are therefore not forwarded. */
const ofConnection = [
  ...["connection", "keep-alive", "proxy-connection", "proxy-authorization", "proxy-authenticate", "te", "trailer"],
  ...["transfer-encoding", "upgrade", "expect"],
];

/** Headers that describe the client. Only the gateway may set them. */
const ofClient = /^(forwarded|x-forwarded-.*|x-real-ip)$/;

/**
 * Headers of a program's answer that the client does not get, because they would affect other hosts or the whole origin, or
 * because the gateway sets them itself.
 */
const notForBrowsers = [
  // The header `clear-site-data` also clears the cookies of the host's parent domains.
  "clear-site-data",
  // The next headers apply to the whole origin and not to the page: connection settings, and where browsers report errors.
  ...["strict-transport-security", "public-key-pins", "alt-svc", "nel", "report-to"],
  "x-robots-tag",
];

/** The CSP for pages if all sessions share one host. With this CSP, a page gets an opaque origin and no storage. */
const alone = "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads";

/**
 * The name of the cookie that gives a browser access. The cookie is valid for this host only; if sessions share a
 * host, only below the port's path.
 */
export const cookieName = ({ isSecure, hasOwnHosts }: { isSecure: boolean; hasOwnHosts: boolean }): string =>
  `${isSecure ? (hasOwnHosts ? "__Host-" : "__Secure-") : ""}berth-port`;

/** The Set-Cookie header for the access cookie. */
export function accessCookie(
  url: { isSecure: boolean; hasOwnHosts: boolean },
  { value, prefix, seconds }: { value: string; prefix: string; seconds: number },
): string {
  const attributes = [`Path=${prefix}/`, `Max-Age=${seconds}`, "HttpOnly", "SameSite=Lax"];
  return [`${cookieName(url)}=${value}`, ...attributes, ...(url.isSecure ? ["Secure"] : [])].join("; ");
}

/**
 * The values of all cookies with this name. There may be several, because a page on another host of the same parent domain can
 * set cookies with this name too.
 */
export const cookiesOf = (header: string | undefined, name: string): string[] =>
  pairsOf(header).flatMap(([key, value]) => (key === name ? [value] : []));

const pairsOf = (header = ""): [string, string][] =>
  header.split(";").map((pair) => {
    const at = pair.indexOf("=");
    return at < 0 ? ["", pair.trim()] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
  });

export interface Client {
  /** Undefined: the address is not known. */
  address: string | undefined;
  host: string;
  /** Without the colon, e.g. `https`. */
  protocol: string;
  /** The start of the path that the program does not see. */
  prefix: string;
}

/** The headers that the program gets. `isWebSocket`: with the headers `connection` and `upgrade`, which the handshake needs. */
export function toProgram(headers: IncomingHttpHeaders, client: Client, isWebSocket = false): IncomingHttpHeaders {
  const kept: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    // `transfer-encoding` is kept. Without this header, Node does not send the body of a GET or DELETE in chunks, and the program
    // does not get a body that has no `content-length`.
    const isLost = ofConnection.includes(name) && name !== "transfer-encoding";
    if (!ours.test(name) && !ofClient.test(name) && !isLost) kept[name] = value;
  }
  const { address, host, protocol, prefix } = client;
  const cookies = (headers.cookie ?? "").split(";").map((pair) => pair.trim());
  const own =
    prefix === ""
      ? cookies.filter((pair) => !isOurCookie((pair.split("=")[0] ?? "").trim()))
      : cookies.filter((pair) => pair.startsWith(ofProgram)).map((pair) => pair.slice(ofProgram.length));
  kept.cookie = own.join("; ");
  if (kept.cookie === "") delete kept.cookie;
  if (address !== undefined) kept["x-forwarded-for"] = address;
  kept["x-forwarded-host"] = host;
  kept["x-forwarded-proto"] = protocol;
  if (prefix !== "") kept["x-forwarded-prefix"] = prefix;
  if (isWebSocket) Object.assign(kept, { connection: "Upgrade", upgrade: "websocket" });
  return kept;
}

/** The headers that the client gets. `prefix`: the path below which the program is served, or "". */
export function toClient(headers: NodeJS.Dict<string[]>, prefix: string): Record<string, string[]> {
  const kept: Record<string, string[]> = {};
  for (const [name, values] of Object.entries(headers)) {
    if (values === undefined || ours.test(name) || ofConnection.includes(name) || notForBrowsers.includes(name))
      continue;
    kept[name] = values;
  }
  const cookies = keptCookies(kept["set-cookie"] ?? [], prefix);
  delete kept["set-cookie"];
  if (cookies.length > 0) kept["set-cookie"] = cookies;
  kept["x-robots-tag"] = ["noindex"];
  if (prefix === "") return kept;
  delete kept["service-worker-allowed"];
  kept["content-security-policy"] = [...(kept["content-security-policy"] ?? []), alone];
  if (kept.location !== undefined)
    kept.location = kept.location.map((to) => (/^\/(?![/\\])/.test(to) ? prefix + to : to));
  return kept;
}

/**
 * The cookies that a program may set: only for its own host, only below its own path, and never Berth's cookie. Below a path, the
 * cookies get names that `toProgram` recognizes.
 */
export function keptCookies(cookies: string[], prefix: string): string[] {
  return cookies.flatMap((cookie) => {
    const [pair = "", ...attributes] = cookie.split(";");
    const name = pair.slice(0, Math.max(0, pair.indexOf("="))).trim();
    if (name === "" || isOurCookie(name)) return []; // a cookie without a name can look like another cookie in the next request
    const nameOf = (attribute: string) => (attribute.split("=")[0] ?? "").trim().toLowerCase();
    const kept = attributes.filter((attribute) => nameOf(attribute) !== "domain");
    if (prefix === "") return [[pair, ...kept].join(";")];
    const path =
      kept
        .findLast((attribute) => nameOf(attribute) === "path")
        ?.split("=")[1]
        ?.trim() ?? "/";
    const below = `${prefix}${path.startsWith("/") ? path : "/"}`;
    const others = kept.filter((attribute) => nameOf(attribute) !== "path");
    return [[`${ofProgram}${pair.trim()}`, ...others, ` Path=${below}`].join(";")];
  });
}

/**
 * Whether the cookie may authorize a request with these headers. A page of another session can make the browser send the
 * cookie, because `SameSite` does not separate the sessions' hosts, which belong to one site. A page of another origin may
 * link to the port, but may do nothing else. If there are no Sec-Fetch headers, which browsers send only over HTTPS or to
 * loopback, only `Origin` is checked.
 * @param origin the port's own origin
 */
export function mayUseCookie(method: string, headers: IncomingHttpHeaders, origin: string): boolean {
  const { "sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": destination, origin: from } = headers;
  if (from !== undefined && from !== origin) return false;
  if (site === undefined || site === "same-origin" || site === "none") return true;
  return (method === "GET" || method === "HEAD") && mode === "navigate" && destination === "document";
}
