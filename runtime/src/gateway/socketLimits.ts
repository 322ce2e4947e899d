/** How many WebSockets one ticket, one session and one tenant may have open at the same time. No I/O. */
import type { Tenant } from "../domain/tenants.ts";
import type { Limit } from "./places.ts";

/** How many desktops may be open with one ticket. The limit is above 1, because a team may share one link. */
const ofTicket = 10;
/** Limit per session and kind. vnc-proxy needs about 0.1 MiB for each desktop and has 256 MiB; see docs/images.md. */
const ofSession = 20;
/** How many of a session's desktop connections may be view-only, so that users who control the desktop can still connect. */
const viewersOfSession = 15;
/** Limit per tenant: `ofTenantPerSession` for each session that the tenant may have, but at least `ofTenantAtLeast`. */
const ofTenantPerSession = 4;
const ofTenantAtLeast = 100;

const full = (who: string, places: number, what: string) => `${who} has ${places} ${what} open. Close some of them.`;

export const perTicket = (id: string): Limit => ({
  of: `ticket:${id}`,
  places: ofTicket,
  refusal: full("The ticket", ofTicket, "desktops"),
});

const kinds = { desktop: "desktops", exec: "commands", port: "WebSockets to its ports" };

export const perSession = (id: string, kind: keyof typeof kinds): Limit => ({
  of: `session:${id}:${kind}`,
  places: ofSession,
  refusal: full("The session", ofSession, kinds[kind]),
});

export const viewersPerSession = (id: string): Limit => ({
  of: `session:${id}:view`,
  places: viewersOfSession,
  refusal: full("The session", viewersOfSession, "views"),
});

export function perTenant({ name, maxSessions }: Tenant): Limit {
  const places = Math.max(ofTenantAtLeast, ofTenantPerSession * maxSessions);
  return {
    of: `tenant:${name}`,
    places,
    refusal: full("The tenant", places, "desktops, commands and WebSockets to ports"),
  };
}
