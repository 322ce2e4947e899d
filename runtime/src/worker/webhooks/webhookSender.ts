/**
 * Sends the events of sessions to the tenants' webhooks. Each receiver has its own slots, so a receiver that hangs delays
 * only its own deliveries. Once a receiver counts as dead, its deliveries are postponed without an attempt. The loop stores
 * the results of all attempts that have ended, and takes new deliveries, with one statement for each of these two steps. So
 * the faster the receivers answer, the more deliveries a statement has.
 */

import { setImmediate } from "node:timers/promises";
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { TenantsFile } from "../../config/tenantsFile.ts";
import { isBehind } from "../../domain/generation.ts";
import { type Ending, ownSlots } from "../../domain/receiverPace.ts";
import { nextAttempt } from "../../domain/webhookBackoff.ts";
import type { Bell } from "../../queue/bell.ts";
import type { Delivery, DeliveryStore, Receiver, Result } from "../../store/deliveryStore.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { Loop } from "../../timing/loop.ts";
import { Poster, type PosterOptions } from "./post.ts";
import { Receivers } from "./receivers.ts";
import { signedHeaders } from "./sign.ts";

/**
 * How many milliseconds pass between the bell and the search for new events, plus or minus up to a half, at random. So one
 * worker finds the events first, and the others find nothing to do.
 */
const ringMs = 60;

const putOffError = "not sent, because the receiver did not answer the previous deliveries";

export interface WebhookSenderOptions extends PosterOptions {
  store: Pick<DeliveryStore, "fanOut" | "take" | "putOff" | "settle">;
  /** Rings when there are new events. */
  bell: Pick<Bell, "listen">;
  tenants: Pick<TenantsFile, "get" | "generation">;
  metrics: Pick<Metrics, "webhooks">;
  logger: Logger;
  /** Whether webhooks may go to private addresses and may use http. */
  allowPrivate: boolean;
  /** Milliseconds between two searches for due deliveries if the bell does not ring. Default: 1000. */
  intervalMs?: number;
}

export class WebhookSender implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #loop = new Loop(() => this.#iterate());
  readonly #running = new Set<Promise<void>>();
  readonly #receivers = new Receivers();
  readonly #poster: Poster;
  /** Results that are not stored yet. */
  readonly #results: Result[] = [];
  #stopListening = () => {};
  /** When the next search for new events is due, by performance.now(). */
  #fanOutAt = 0;
  /** The timer between the bell and the search, so that many events cause only one search. */
  #ringing: NodeJS.Timeout | undefined;

  constructor(private readonly options: WebhookSenderOptions) {
    this.#poster = new Poster(options.allowPrivate, options);
  }

  /** Whether this process still searches for due deliveries. */
  isAlive(): boolean {
    return this.#loop.isAlive();
  }

  onApplicationBootstrap(): void {
    this.#loop.start();
    this.#stopListening = this.options.bell.listen(() => {
      const search = () => {
        this.#ringing = undefined;
        this.#fanOutAt = 0;
        this.#loop.wake();
      };
      this.#ringing ??= setTimeout(search, ringMs * (0.5 + Math.random()));
    });
  }

  /** Waits for the running attempts; each has a time limit. */
  async onApplicationShutdown(): Promise<void> {
    this.#stopListening();
    clearTimeout(this.#ringing);
    await this.#loop.stop();
    await Promise.all(this.#running);
    this.#poster.close();
    try {
      await this.#settle();
    } catch (error) {
      this.options.logger.warn({ err: error }, "webhooks may be sent again, because Postgres does not answer");
    }
  }

  async #iterate(): Promise<number> {
    const { store, logger, intervalMs = 1_000 } = this.options;
    try {
      if (performance.now() >= this.#fanOutAt) await this.#fanOut(intervalMs);
      await this.#settle();
      await this.#putOff(this.#receivers.paused());
      for (const delivery of await store.take(this.#receivers.rooms(), ownSlots)) {
        this.#start(delivery);
        await setImmediate(); // so that a large batch does not hold up the other work of this process
      }
    } catch (error) {
      logger.warn({ err: error }, "webhooks are delayed, because Postgres does not answer");
    }
    return Math.min(intervalMs, this.#fanOutAt - performance.now());
  }

  /** Creates the deliveries of new events. Not every iteration does so, because each attempt that ends starts an iteration. */
  async #fanOut(intervalMs: number): Promise<void> {
    const begun = performance.now();
    // If the search fails, the next search comes after the usual time.
    this.#fanOutAt = begun + intervalMs;
    const left = await this.options.store.fanOut(this.options.tenants);
    if (left !== "done") this.#fanOutAt = left === "more" ? 0 : begun + Math.min(ringMs, intervalMs);
  }

  /** Stores the results of the attempts that have ended. If that fails, the next call tries again. */
  async #settle(): Promise<void> {
    const results = this.#results.splice(0);
    if (results.length === 0) return;
    try {
      await this.options.store.settle(results);
    } catch (error) {
      this.#results.push(...results);
      throw error;
    }
  }

  async #putOff(receivers: Receiver[]): Promise<void> {
    if (receivers.length === 0) return;
    const { failed, dead } = await this.options.store.putOff(receivers, putOffError);
    this.options.metrics.webhooks.inc({ outcome: "failed" }, failed);
    this.options.metrics.webhooks.inc({ outcome: "dead" }, dead);
  }

  /** Starts an attempt. When the attempt ends, it wakes the loop, because another attempt may then start. */
  #start(delivery: Delivery): void {
    const receiver = { tenant: delivery.event.tenant, url: delivery.url };
    this.#receivers.begin(receiver);
    let ending: Ending | undefined;
    const begun = performance.now();
    const note = (isGood: boolean) => {
      ending = { isGood, tookMs: performance.now() - begun };
    };
    const attempt = this.#attempt(delivery, note)
      .then((result) => void (result && this.#results.push(result)))
      .catch((error: unknown) => this.options.logger.error({ err: error }, "a webhook could not be sent"))
      .finally(() => {
        this.#running.delete(attempt);
        this.#receivers.end(receiver, ending);
        this.#loop.wake();
      });
    this.#running.add(attempt);
  }

  /**
   * Calls `note(true)` if the receiver answered with a status other than 429 and 5xx. Calls `note(false)` if the receiver
   * answered with 429 or 5xx, or if the request failed. Does not call `note` if no request was made. Returns undefined if the
   * delivery stays as it is: after a minute a worker takes it again.
   */
  async #attempt(delivery: Delivery, note: (isGood: boolean) => void): Promise<Result | undefined> {
    const { id, url, attempts, event, tenantsGeneration } = delivery;
    const { tenants, metrics, logger } = this.options;
    const webhook = tenants.get(event.tenant)?.webhooks.find((one) => one.url === url);
    if (webhook === undefined) {
      if (isBehind(tenants.generation, tenantsGeneration)) return undefined;
      return { id, attempts }; // the webhook was removed from the config
    }

    const body = JSON.stringify({ type: `session.${event.state}`, timestamp: event.at, data: event });
    const headers = signedHeaders(webhook.secret, `evt_${event.id}`, new Date(), body);
    let error: string;
    let retryAfter: number | undefined;
    let gone = false;
    try {
      const answer = await this.#poster.post(new URL(url), headers, body);
      note(answer.status < 500 && answer.status !== 429);
      if (answer.status >= 200 && answer.status < 300) {
        metrics.webhooks.inc({ outcome: "delivered" });
        return { id, attempts };
      }
      error = `answered ${answer.status}`;
      retryAfter = answer.retryAfter;
      gone = answer.status === 410; // the receiver wants no more deliveries
    } catch (failure) {
      note(false);
      error = (failure as Error).message;
    }
    const next = gone ? "dead" : nextAttempt(attempts, retryAfter, Math.random());
    metrics.webhooks.inc({ outcome: next === "dead" ? "dead" : "failed" });
    logger.warn(
      { tenant: event.tenant, sessionId: event.sessionId, attempts, failure: error, next },
      "webhook not delivered",
    );
    return { id, attempts, failure: { error, next } };
  }
}
