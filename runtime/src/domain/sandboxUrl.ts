/**
 * The addresses under which the ports of sessions are served: one host for each port, or one path for each port. Pure:
 * no I/O.
 */

/** One port of one session. */
export interface SessionPort {
  /** A UUID in lower case. */
  sessionId: string;
  /** 1 to 65535. */
  port: number;
}

/** The port that a URL addresses, and the rest of the URL. */
export interface PortTarget extends SessionPort {
  /** The part of the URL that the program in the session gets: path and query, beginning with `/`. */
  path: string;
  /** The part of the path before `path`: "" if each port has its own host, else for example `/<session id>/8080`. */
  prefix: string;
}

const uuid = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const inHost = new RegExp(`^(\\d{1,5})-(${uuid})$`);
const inPath = new RegExp(`^/(${uuid})/(\\d{1,5})(?=[/?]|$)`, "i");

/** The port number in the text; undefined if the text is not a port number without leading zeros. */
export function portOf(text: string): number | undefined {
  const port = Number(text);
  return /^[1-9]\d{0,4}$/.test(text) && port <= 65_535 ? port : undefined;
}

/**
 * The rule for the address of sessions' ports (`sandboxUrl`) that the text breaks, as the end of an error message: `must …`.
 * Undefined if the text breaks no rule.
 */
export function faultOfSandboxUrl(text: string): string | undefined {
  const url = URL.parse(text.replace("//*.", "//any."));
  if (url === null || !/^https?:$/.test(url.protocol)) return "must be an http or https address";
  if (url.username !== "" || url.password !== "" || url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    return "must have a host, and nothing after the host but a port";
  }
  if (url.hostname.includes("*"))
    return "must have its * as the first label of the host, like https://*.sandbox.example.org";
  return undefined;
}

/** Whether the name is the domain or lies below it. False for a domain without a dot, for which no page can set cookies. */
const isIn = (name: string, domain: string) => domain.includes(".") && `.${name}`.endsWith(`.${domain}`);

/** The setting `sandboxUrl`: either `https://*.sandbox.example.org`, or one host without `*`. */
export class SandboxUrl {
  readonly #protocol: string;
  /** The host and port. `*` is in place of the label that differs from port to port. */
  readonly #host: string;
  /** The host without the port. */
  readonly #hostname: string;
  /** Whether each port has its own host, and so its own origin in browsers. */
  readonly hasOwnHosts: boolean;

  /** The text must be valid; see faultOfSandboxUrl. */
  constructor(text: string) {
    const url = new URL(text.replace("//*.", "//any."));
    this.hasOwnHosts = text.includes("//*.");
    this.#protocol = url.protocol;
    this.#host = url.host.replace(/^any\./, this.hasOwnHosts ? "*." : "any.");
    this.#hostname = url.hostname.replace(/^any\./, this.hasOwnHosts ? "*." : "any.");
  }

  get isSecure(): boolean {
    return this.#protocol === "https:";
  }

  /** The address of the port, with a `/` at its end. */
  urlOf({ sessionId, port }: SessionPort): string {
    const label = `${port}-${sessionId}`;
    if (this.hasOwnHosts) return `${this.#protocol}//${this.#host.replace("*", label)}/`;
    return `${this.#protocol}//${this.#host}/${sessionId}/${port}/`;
  }

  /** The form of the addresses of ports, for messages: `https://<port>-<session id>.sandbox.example.org/`. */
  get form(): string {
    if (this.hasOwnHosts) return `${this.#protocol}//${this.#host.replace("*", "<port>-<session id>")}/`;
    return `${this.#protocol}//${this.#host}/<session id>/<port>/`;
  }

  /**
   * Whether ports are served at the address's origin, or whether a port's page could set cookies that browsers send to the
   * address. If each port has its own host, its page may set cookies for the domains above this host, except for public
   * suffixes. Without a list of public suffixes, nobody can tell whether two names below one domain may share cookies. So of
   * these domains the method checks only the ports' domain and the address's own host; infra/config/sandbox.ts checks all.
   */
  isTooNear(address: string): boolean {
    const { protocol, host, hostname } = new URL(address);
    if (!this.hasOwnHosts) return protocol === this.#protocol && host === this.#host;
    const domain = this.#hostname.slice(2);
    const servesOrigin = protocol === this.#protocol && host.endsWith(this.#host.slice(1));
    return servesOrigin || isIn(hostname, domain) || isIn(domain, hostname);
  }

  /** The origin of a page that a browser has requested with this Host header. */
  originOf(host: string): string {
    return `${this.#protocol}//${host.toLowerCase()}`;
  }

  /**
   * The port that the request addresses; undefined if host and path do not have the form of a port's address. Does not
   * check whether the session exists.
   * @param url path and query as received
   */
  find(host: string | undefined, url: string): PortTarget | undefined {
    const hostname = (host ?? "").toLowerCase().replace(/:\d+$/, "");
    if (!url.startsWith("/")) return undefined;
    if (!this.hasOwnHosts) {
      if (hostname !== this.#hostname) return undefined;
      const [prefix = "", sessionId = "", digits = ""] = inPath.exec(url) ?? [];
      const port = portOf(digits);
      if (port === undefined) return undefined;
      const rest = url.slice(prefix.length);
      return { sessionId: sessionId.toLowerCase(), port, prefix, path: rest.startsWith("/") ? rest : `/${rest}` };
    }
    const domain = this.#hostname.slice(1);
    if (!hostname.endsWith(domain)) return undefined;
    const [, digits = "", sessionId = ""] = inHost.exec(hostname.slice(0, -domain.length)) ?? [];
    const port = portOf(digits);
    return port === undefined ? undefined : { sessionId, port, path: url, prefix: "" };
  }
}
