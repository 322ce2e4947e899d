/** `sandboxUrl`: the address under which users reach the ports of sessions. The address is separate from the API's. */
import { getDomain } from "tldts";
import { z } from "zod";
import type { IngressConfig } from "./ingress.ts";

/** Parses the address. A label replaces the `*`, because a URL can't contain a `*`. */
const parsed = (text: string) => URL.parse(text.replace("//*.", "//any."));

const isWildcard = (text: string) => text.includes("//*.");

/** The host of the address, with its `*` if there is one. */
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
    { error: "is not an http or https URL of a host and no path; write for example https://*.sandbox.example.org" },
  )
  .nullable();

interface Reached {
  sandboxUrl: string | null;
  publicUrl: string;
  ingress: IngressConfig | null;
}

/**
 * Refuses a sandbox address that is not separate from the API. Without a `*`, the address must not have the API's origin or, with
 * an ingress, one of the API's hosts. With a `*`, its hosts and the API's hosts must not be in the same domain, because a
 * session's page could then set cookies that browsers send to the API. Without a `*`, no page can set cookies for a domain,
 * because all pages have opaque origins, and the gateway removes `Domain` from cookies. Public suffixes (publicsuffix.org), such
 * as com or co.uk, and names without a dot do not count as a common domain.
 */
export function apart(check: z.core.ParsePayload<Reached>): void {
  const { sandboxUrl: text, publicUrl, ingress } = check.value;
  const [sandbox, api] = [parsed(text ?? ""), URL.parse(publicUrl)];
  if (text === null || sandbox === null || api === null) return;
  const fault = (message: string) => check.issues.push({ code: "custom", input: text, path: ["sandboxUrl"], message });
  const hosts = [api.hostname, ...(ingress?.hosts ?? [])];
  if (!isWildcard(text)) {
    if (sandbox.origin === api.origin)
      fault(
        "has the same origin as publicUrl, so that browsers would treat sessions' pages as pages of the API; use another host",
      );
    else if (ingress !== null && hosts.includes(sandbox.hostname))
      fault("has the same host as the API, so that the Ingress can't separate the two; use another host");
    return;
  }
  const domain = getDomain(sandbox.hostname, { allowPrivateDomains: true });
  for (const host of hosts) {
    const shared = getDomain(host.replace(/^\*\./, "any."), { allowPrivateDomains: true });
    if (shared === null || shared !== domain) continue;
    fault(
      `shares the domain ${shared} with the API's host ${host}: a session's page could set cookies for ${shared}, and browsers would send them to the API; use another domain than ${shared}`,
    );
    return;
  }
}
