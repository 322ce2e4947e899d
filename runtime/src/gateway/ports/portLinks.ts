/** The paths of a port that belong to Berth. At one of them, a browser redeems a link and gets the access cookie. */
import type { PortTokens } from "../../api/access/portTokens.ts";
import { Problem } from "../../api/http/problem.ts";
import { linkPath } from "../../api/portJson.ts";
import type { SessionPods } from "../../api/sessionPods.ts";
import type { PortTarget, SandboxUrl } from "../../domain/sandboxUrl.ts";
import { accessCookie } from "./headers.ts";
import type { PortAccess, PortRequest } from "./portAccess.ts";

/** Whether the path belongs to Berth, so that the program never gets the request. */
export const isOurs = (path: string): boolean => path.startsWith("/.berth/");

export interface PortLinksOptions {
  url: SandboxUrl;
  access: Pick<PortAccess, "takeTicket">;
  tokens: Pick<PortTokens, "sign">;
  pods: Pick<SessionPods, "use">;
}

export class PortLinks {
  constructor(private readonly options: PortLinksOptions) {}

  /** Returns the headers of the redirect to the program, with the cookie. Throws a Problem. */
  async open(target: PortTarget, { method, headers, address }: PortRequest): Promise<Record<string, string>> {
    const { url, access, tokens, pods } = this.options;
    const asked = new URL(target.path, "http://port");
    if (asked.pathname !== linkPath) throw new Problem(404, "Berth has no page at this path.");
    if (method !== "GET") throw new Problem(405, "A link must be opened by GET.");
    if (/prefetch|prerender/i.test(String(headers["sec-purpose"] ?? headers.purpose ?? ""))) {
      throw new Problem(503, "A link can't be opened in advance by a prefetch.");
    }
    const ticket = asked.searchParams.get("ticket") ?? "";
    const { id, caller, ...permission } = await access.takeTicket(target, ticket, address);
    await pods.use(target.sessionId, caller, "port", `opens the port ${target.port} by the link ${id}`);
    const value = await tokens.sign("token", { id, ...permission });
    const seconds = Math.max(1, Math.floor((permission.expiresAt.getTime() - Date.now()) / 1000));
    return {
      location: `${target.prefix}${permission.path}`,
      "set-cookie": accessCookie(url, { value, prefix: target.prefix, seconds }),
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
      "x-robots-tag": "noindex",
    };
  }
}
