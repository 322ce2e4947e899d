/** How many WebSockets a ticket, a session and a tenant may have at the same time; pure. */
import type { Tenant } from "../domain/tenants.ts";
import type { Limit } from "./places.ts";

/** Of one ticket: a link that is handed on to a team. */
const ofTicket = 10;
/** Of one session and kind. vnc-proxy needs some 0.1 MiB for each desktop and has 256 MiB; see docs/images.md. */
const ofSession = 20;
/** Of those, how many may only look: there is always room for somebody who works. */
const viewersOfSession = 15;
/** Of a tenant: for each session that may be up, and so many at least. */
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
