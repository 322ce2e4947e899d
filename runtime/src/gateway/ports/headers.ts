/** Which headers and cookies go from the client to a session's program and back; pure. */
import type { IncomingHttpHeaders } from "node:http";

/** The header by which programs say that they may, so that `authorization` is the session's own. */
export const tokenHeader = "x-berth-token";

const ours = /^x-berth-/;
const isOurCookie = (name: string) => /^(__host-|__secure-)?berth-port$/i.test(name);

/** Of one connection, and so not for whoever is behind it. */
const ofConnection = [
  ...["connection", "keep-alive", "proxy-connection", "proxy-authorization", "proxy-authenticate", "te", "trailer"],
  ...["transfer-encoding", "upgrade", "expect"],
];

/** What tells of the client, and is ours to tell. */
const ofClient = /^(forwarded|x-forwarded-.*|x-real-ip)$/;

/** What a program could do to more than its own host by it, or what is said of its answers already. */
const notForBrowsers = [
  // Clears cookies of the host's parents too.
  "clear-site-data",
  // Of the origin rather than the page: connections, and where faults of them are reported.
  ...["strict-transport-security", "public-key-pins", "alt-svc", "nel", "report-to"],
  "x-robots-tag",
];

/** What a page may still do where all sessions share an origin: it gets one that nothing else has, and no storage. */
const alone = "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads";

/** The cookie that lets a browser in: of this host alone, or, where hosts are shared, of the port's path. */
export const cookieName = ({ isSecure, hasOwnHosts }: { isSecure: boolean; hasOwnHosts: boolean }): string =>
  `${isSecure ? (hasOwnHosts ? "__Host-" : "__Secure-") : ""}berth-port`;

/** The Set-Cookie header that gives it. */
export function accessCookie(
  url: { isSecure: boolean; hasOwnHosts: boolean },
  { value, prefix, seconds }: { value: string; prefix: string; seconds: number },
): string {
  const attributes = [`Path=${prefix}/`, `Max-Age=${seconds}`, "HttpOnly", "SameSite=Lax"];
  return [`${cookieName(url)}=${value}`, ...attributes, ...(url.isSecure ? ["Secure"] : [])].join("; ");
}

/** The values of the cookies of that name, of which there may be several: some that a page elsewhere has set. */
export const cookiesOf = (header: string | undefined, name: string): string[] =>
  pairsOf(header).flatMap(([key, value]) => (key === name ? [value] : []));

const pairsOf = (header = ""): [string, string][] =>
  header.split(";").map((pair) => {
    const at = pair.indexOf("=");
    return at < 0 ? ["", pair.trim()] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
  });

export interface Client {
  /** Undefined if it is not known. */
  address: string | undefined;
  host: string;
  /** As it is without a colon. */
  protocol: string;
  /** What of the path is not shown to the program. */
  prefix: string;
}

/** What the program gets of the request's headers. A WebSocket's handshake keeps what makes it one. */
export function toProgram(headers: IncomingHttpHeaders, client: Client, isWebSocket = false): IncomingHttpHeaders {
  const kept: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    // Node needs to know of a body that comes in pieces.
    const isLost = ofConnection.includes(name) && name !== "transfer-encoding";
    if (!ours.test(name) && !ofClient.test(name) && !isLost) kept[name] = value;
  }
  const cookies = (headers.cookie ?? "").split(";").filter((pair) => !isOurCookie((pair.split("=")[0] ?? "").trim()));
  if (headers.cookie !== undefined) kept.cookie = cookies.join(";").trim();
  if (kept.cookie === "") delete kept.cookie;
  const { address, host, protocol, prefix } = client;
  if (address !== undefined) kept["x-forwarded-for"] = address;
  kept["x-forwarded-host"] = host;
  kept["x-forwarded-proto"] = protocol;
  if (prefix !== "") kept["x-forwarded-prefix"] = prefix;
  if (isWebSocket) Object.assign(kept, { connection: "Upgrade", upgrade: "websocket" });
  return kept;
}

/** What the client gets of the answer's headers. `prefix`: what the program's paths are below, "" for nothing. */
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

/** The cookies that a program may set: of its own host alone, below its own path, and never ours. */
export function keptCookies(cookies: string[], prefix: string): string[] {
  return cookies.flatMap((cookie) => {
    const [pair = "", ...attributes] = cookie.split(";");
    const name = pair.slice(0, Math.max(0, pair.indexOf("="))).trim();
    if (name === "" || isOurCookie(name)) return []; // one without a name could look like another's when it is sent
    const nameOf = (attribute: string) => (attribute.split("=")[0] ?? "").trim().toLowerCase();
    const kept = attributes.filter((attribute) => nameOf(attribute) !== "domain");
    if (prefix === "") return [[pair, ...kept].join(";")];
    const path =
      kept
        .findLast((attribute) => nameOf(attribute) === "path")
        ?.split("=")[1]
        ?.trim() ?? "/";
    const below = `${prefix}${path.startsWith("/") ? path : "/"}`;
    return [[pair, ...kept.filter((attribute) => nameOf(attribute) !== "path"), ` Path=${below}`].join(";")];
  });
}

/**
 * Whether a cookie may let in a request with these headers. A page of another origin can make the browser send the cookie,
 * and a neighbour's page is of the same site: it may lead here by a link, and nothing else.
 * @param origin of the port itself
 */
export function mayUseCookie(method: string, headers: IncomingHttpHeaders, origin: string): boolean {
  const { "sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": destination, origin: from } = headers;
  if (from !== undefined && from !== origin) return false;
  if (site === undefined || site === "same-origin" || site === "none") return true;
  return (method === "GET" || method === "HEAD") && mode === "navigate" && destination === "document";
}
