/** Where the ports of sessions are reached, apart from the API. */
import { getDomain } from "tldts";
import { z } from "zod";
import type { IngressConfig } from "./ingress.ts";

/** Its `*` as a label that an address may have. */
const parsed = (text: string) => URL.parse(text.replace("//*.", "//any."));

const isWildcard = (text: string) => text.includes("//*.");

/** The host, with its `*`. */
export const sandboxHost = (text: string): string =>
  (parsed(text)?.hostname ?? "").replace(/^any\./, isWildcard(text) ? "*." : "any.");

export const sandboxUrl = z
  .string()
  .refine(
    (text) => {
      const url = parsed(text);
      if (url === null || !/^https?:$/.test(url.protocol) || url.hostname.includes("*")) return false;
      return `${url.username}${url.password}${url.search}${url.hash}` === "" && url.pathname === "/";
    },
    { error: "is not an http or https URL of a host and no path, for example https://*.sandbox.example.org" },
  )
  .nullable();

interface Reached {
  sandboxUrl: string | null;
  publicUrl: string;
  ingress: IngressConfig | null;
}

/**
 * What sessions serve shares no origin with the API, and no domain for which a page could set cookies that the API's hosts get:
 * that is any but a public suffix (publicsuffix.org), such as com or co.uk, or a name without a dot.
 */
export function apart(check: z.core.ParsePayload<Reached>): void {
  const { sandboxUrl: text, publicUrl, ingress } = check.value;
  const [sandbox, api] = [parsed(text ?? ""), URL.parse(publicUrl)];
  if (text === null || sandbox === null || api === null) return;
  const fault = (message: string) => check.issues.push({ code: "custom", input: text, path: ["sandboxUrl"], message });
  const hosts = [api.hostname, ...(ingress?.hosts ?? [])];
  if (!isWildcard(text)) {
    if (sandbox.origin === api.origin)
      fault("has the origin of publicUrl, so that sessions' pages would be pages of the API");
    else if (ingress !== null && hosts.includes(sandbox.hostname))
      fault("has a host of the API's, where the Ingress can't tell the two apart; name another");
    return;
  }
  const domain = getDomain(sandbox.hostname, { allowPrivateDomains: true });
  for (const host of hosts) {
    const shared = getDomain(host.replace(/^\*\./, "any."), { allowPrivateDomains: true });
    if (shared === null || shared !== domain) continue;
    fault(
      `shares the domain ${shared} with the API's host ${host}: a session's page could set cookies for ${shared}, which the API's host would get; name a domain that is no part of ${shared}`,
    );
    return;
  }
}
