/**
 * Sends the events of sessions to the tenants' webhooks. Each receiver gets at most a quarter of the attempts that run at
 * the same time, so a receiver that hangs delays only its own deliveries. Once a receiver counts as dead, its deliveries
 * are postponed without an attempt.
 */
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { TenantsFile } from "../../config/tenantsFile.ts";
import { isBehind } from "../../domain/generation.ts";
import { nextAttempt } from "../../domain/webhookBackoff.ts";
import type { Bell } from "../../queue/bell.ts";
import type { Delivery, DeliveryStore } from "../../store/deliveryStore.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { Loop } from "../../timing/loop.ts";
import { post } from "./post.ts";
import { Receivers } from "./receivers.ts";
import { signedHeaders } from "./sign.ts";

/** How many attempts run at the same time, to all receivers. Each attempt has its own connection. */
const concurrency = 100;

/**
 * How many milliseconds pass between the bell and the search for new events, plus or minus up to a half, at random. So one
 * worker finds the events first, and the others find nothing to do.
 */
const ringMs = 60;

const putOffError = "not sent, because the receiver did not answer the previous deliveries";

export interface WebhookSenderOptions {
  store: Pick<DeliveryStore, "fanOut" | "take" | "putOff" | "remove" | "fail">;
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
  readonly #loop = new Loop(() => this.#turn());
  readonly #running = new Set<Promise<void>>();
  readonly #receivers = new Receivers();
  #stopListening = () => {};
  /** When the next search for new events is due, by performance.now(). */
  #fanOutAt = 0;
  /** The timer between the bell and the search, so that many events cause only one search. */
  #ringing: NodeJS.Timeout | undefined;

  constructor(private readonly options: WebhookSenderOptions) {}

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
  }

  async #turn(): Promise<number> {
    const { store, logger, intervalMs = 1_000 } = this.options;
    try {
      if (performance.now() >= this.#fanOutAt) await this.#fanOut(intervalMs);
      await this.#putOff(this.#receivers.paused());
      const total = concurrency - this.#running.size;
      const room = { total, perUrl: this.#receivers.usual, limits: this.#receivers.limits() };
      for (const delivery of total > 0 ? await store.take(room) : []) this.#start(delivery);
    } catch (error) {
      logger.warn({ err: error }, "webhooks are delayed, because Postgres does not answer");
    }
    return Math.min(intervalMs, this.#fanOutAt - performance.now());
  }

  /** Creates the deliveries of new events. Not every turn does so, because each attempt that ends starts a turn. */
  async #fanOut(intervalMs: number): Promise<void> {
    const begun = performance.now();
    // If the search fails, the next search comes after the usual time.
    this.#fanOutAt = begun + intervalMs;
    const left = await this.options.store.fanOut(this.options.tenants);
    if (left !== "done") this.#fanOutAt = left === "more" ? 0 : begun + Math.min(ringMs, intervalMs);
  }

  async #putOff(urls: string[]): Promise<void> {
    if (urls.length === 0) return;
    const { failed, dead } = await this.options.store.putOff(urls, putOffError);
    this.options.metrics.webhooks.inc({ outcome: "failed" }, failed);
    this.options.metrics.webhooks.inc({ outcome: "dead" }, dead);
  }

  /** Starts an attempt. When the attempt ends, it wakes the loop, because another attempt may then start. */
  #start(delivery: Delivery): void {
    this.#receivers.begin(delivery.url);
    let isAlive: boolean | undefined;
    const note = (alive: boolean) => {
      isAlive = alive;
    };
    const attempt = this.#attempt(delivery, note)
      .catch((error: unknown) =>
        this.options.logger.warn({ err: error }, "the result of a webhook could not be stored"),
      )
      .finally(() => {
        this.#running.delete(attempt);
        this.#receivers.end(delivery.url, isAlive);
        this.#loop.wake();
      });
    this.#running.add(attempt);
  }

  /**
   * Calls `note(true)` if the receiver answered with a status other than 429 and 5xx. Calls `note(false)` if the receiver
   * answered with 429 or 5xx, or if the request failed. Does not call `note` if no request was made.
   */
  async #attempt(delivery: Delivery, note: (isAlive: boolean) => void): Promise<void> {
    const { id, url, attempts, event, tenantsGeneration } = delivery;
    const { store, tenants, metrics, logger, allowPrivate } = this.options;
    const webhook = tenants.get(event.tenant)?.webhooks.find((one) => one.url === url);
    if (webhook === undefined) {
      if (isBehind(tenants.generation, tenantsGeneration)) return; // after a minute a worker takes the delivery again
      return store.remove(id); // the webhook was removed from the config
    }

    const body = JSON.stringify({ type: `session.${event.state}`, timestamp: event.at, data: event });
    const headers = signedHeaders(webhook.secret, `evt_${event.id}`, new Date(), body);
    let failure: string;
    let retryAfter: number | undefined;
    let gone = false;
    try {
      const answer = await post(new URL(url), headers, body, allowPrivate);
      note(answer.status < 500 && answer.status !== 429);
      if (answer.status >= 200 && answer.status < 300) {
        metrics.webhooks.inc({ outcome: "delivered" });
        return store.remove(id);
      }
      failure = `answered ${answer.status}`;
      retryAfter = answer.retryAfter;
      gone = answer.status === 410; // the receiver wants no more deliveries
    } catch (error) {
      note(false);
      failure = (error as Error).message;
    }
    const next = gone ? "dead" : nextAttempt(attempts, retryAfter, Math.random());
    metrics.webhooks.inc({ outcome: next === "dead" ? "dead" : "failed" });
    logger.warn({ tenant: event.tenant, sessionId: event.sessionId, attempts, failure, next }, "webhook not delivered");
    await store.fail(id, failure, next);
  }
}
