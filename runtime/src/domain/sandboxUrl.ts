/** Where the ports of sessions are served: a host for each port, or a path for each on one host; pure. */

/** One port of one session. */
export interface PortPlace {
  /** A UUID in lower case. */
  sessionId: string;
  /** 1 to 65535. */
  port: number;
}

/** What an address is of. */
export interface PortTarget extends PortPlace {
  /** What of the address is for the program: path and query, beginning with `/`. */
  path: string;
  /** What of the path comes before that: "" where each port has a host of its own, else e.g. `/<session id>/8080`. */
  prefix: string;
}

const uuid = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const inHost = new RegExp(`^(\\d{1,5})-(${uuid})$`);
const inPath = new RegExp(`^/(${uuid})/(\\d{1,5})(?=[/?]|$)`, "i");

/** The port that the text names as people write it, without leading zeros; undefined for anything else. */
export function portOf(text: string): number | undefined {
  const port = Number(text);
  return /^[1-9]\d{0,4}$/.test(text) && port <= 65_535 ? port : undefined;
}

/** Why the text can't be the address of sessions' ports, as the end of a sentence; undefined if it can. */
export function faultOfSandboxUrl(text: string): string | undefined {
  const url = URL.parse(text.replace("//*.", "//any."));
  if (url === null || !/^https?:$/.test(url.protocol)) return "must be an http or https address";
  if (url.username !== "" || url.password !== "" || url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    return "must have a host, and nothing behind it but a port";
  }
  if (url.hostname.includes("*"))
    return "must have its * as the first part of the host, like https://*.sandbox.example.org";
  return undefined;
}

/** The setting `sandboxUrl`: `https://*.sandbox.example.org`, or one host without `*`. */
export class SandboxUrl {
  readonly #protocol: string;
  /** With `*` for what differs, if it does. */
  readonly #host: string;
  /** The same without a port. */
  readonly #hostname: string;
  /** Whether each port has a host, and so an origin, of its own. */
  readonly hasOwnHosts: boolean;

  /** The text must have no fault. */
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
  urlOf({ sessionId, port }: PortPlace): string {
    const label = `${port}-${sessionId}`;
    if (this.hasOwnHosts) return `${this.#protocol}//${this.#host.replace("*", label)}/`;
    return `${this.#protocol}//${this.#host}/${sessionId}/${port}/`;
  }

  /** Whether the address is one that may be a port's. */
  servesOrigin(address: string): boolean {
    const { protocol, host } = new URL(address);
    if (protocol !== this.#protocol) return false;
    return this.hasOwnHosts ? host.endsWith(this.#host.slice(1)) : host === this.#host;
  }

  /** The origin under which a browser sees what the Host header names. */
  originOf(host: string): string {
    return `${this.#protocol}//${host.toLowerCase()}`;
  }

  /** What the request is for; undefined if it is for no port of a session. @param url path and query, as they came */
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
