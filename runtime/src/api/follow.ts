/** Yields the past events of a session or a tenant, and then the new ones. */

import { type EventJson, toEventJson } from "../domain/event.ts";
import type { AuditTrail } from "../store/auditTrail.ts";

/** Whose events: those of a tenant, or those of one of its sessions. */
export interface Whose {
  tenant: string;
  sessionId?: string | undefined;
}

/** A source of new events; see EventFeed. */
export interface Feed {
  listen: (listener: (event: EventJson) => void, signal: AbortSignal) => Promise<{ position: string }>;
}

/** How many events are read at once. */
const pageSize = 500;

/** A client with more unread events than this is disconnected. The client may reconnect with the id of its last event. */
const maxBehind = 10_000;

/** The events after the event `after` and up to `upTo`, in order. Up to `upTo` the audit trail must be complete. */
export async function* past(
  trail: Pick<AuditTrail, "ofTenant">,
  whose: Whose,
  after: string,
  upTo: string,
): AsyncGenerator<EventJson> {
  for (let last: string | undefined = after; last !== undefined; ) {
    const page = await trail.ofTenant(whose, last, pageSize, upTo);
    for (const event of page) yield toEventJson(event, whose.tenant);
    last = page.length === pageSize ? page.at(-1)?.id : undefined;
  }
}

/**
 * The events after the event `after`, each once and in order, until the signal aborts. Without `after`: all events of a
 * session, or the new events of a tenant. Yields null as soon as no later event can be missed, and after each
 * `quietMs` milliseconds without an event.
 */
export async function* follow(
  { trail, feed }: { trail: Pick<AuditTrail, "ofTenant">; feed: Feed },
  whose: Whose,
  after: string | undefined,
  signal: AbortSignal,
  quietMs: number,
): AsyncGenerator<EventJson | null> {
  if (signal.aborted) return;
  const queue: EventJson[] = [];
  const end = new AbortController();
  const ended = AbortSignal.any([signal, end.signal]);
  let wake = () => {};
  ended.addEventListener("abort", () => wake(), { once: true });
  try {
    const { position } = await feed.listen((event) => {
      if (event.tenant !== whose.tenant) return;
      if (whose.sessionId !== undefined && event.sessionId !== whose.sessionId) return;
      queue.push(event);
      if (queue.length > maxBehind) end.abort();
      wake();
    }, ended);
    yield null;

    let last = after ?? (whose.sessionId === undefined ? position : "0");
    for await (const event of past(trail, whose, last, position)) {
      last = event.id;
      yield event;
    }
    while (!ended.aborted) {
      const event = queue.shift();
      if (event === undefined) {
        const quiet = new Promise<boolean>((resolve) => {
          const timer = setTimeout(resolve, quietMs, true);
          wake = () => {
            clearTimeout(timer);
            resolve(false);
          };
        });
        if (await quiet) yield null;
      } else if (BigInt(event.id) > BigInt(last)) {
        last = event.id;
        yield event;
      }
    }
  } finally {
    end.abort();
  }
}
