/** First what has been, then what happens: one session's events, or one tenant's. */

import { type EventJson, toEventJson } from "../domain/event.ts";
import type { AuditTrail } from "../store/auditTrail.ts";

/** Whose events: a tenant's, or those of one of its sessions. */
export interface Whose {
  tenant: string;
  sessionId?: string | undefined;
}

/** Where one hears what happens from now on; see EventFeed. */
export interface Feed {
  listen: (listener: (event: EventJson) => void, signal: AbortSignal) => Promise<{ position: string }>;
}

/** Events read at once. */
const pageSize = 500;

/** A reader that is so far behind is let go; it comes back with the last id that it has. */
const maxBehind = 10_000;

/** The events after `after` that have been up to now, in order. */
export async function* past(
  trail: Pick<AuditTrail, "ofTenant">,
  whose: Whose,
  after: string,
): AsyncGenerator<EventJson> {
  for (let last: string | undefined = after; last !== undefined; ) {
    const page = await trail.ofTenant(whose, last, pageSize);
    for (const event of page) yield toEventJson(event, whose.tenant);
    last = page.length === pageSize ? page.at(-1)?.id : undefined;
  }
}

/**
 * The events after `after`, each once and in order, until the signal. Without `after`: all of a session, and a tenant's
 * from now on. Yields null once nothing can be missed any more, and whenever nothing has happened for `quietMs` milliseconds.
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
    for await (const event of past(trail, whose, last)) {
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
