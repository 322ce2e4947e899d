/**
 * Tells tenants' webhooks what happens to their sessions. Receivers share nothing but the process's slots, of which each has a
 * few: one that hangs holds its own deliveries up, and once it counts as dead they are put off without being sent.
 */
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { TenantsFile } from "../../config/tenantsFile.ts";
import { isBehind } from "../../domain/generation.ts";
import { nextAttempt } from "../../domain/webhookBackoff.ts";
import type { Delivery, DeliveryStore } from "../../store/deliveryStore.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { Loop } from "../../timing/loop.ts";
import { post } from "./post.ts";
import { Receivers } from "./receivers.ts";
import { signedHeaders } from "./sign.ts";

/** Attempts that run at the same time, to all receivers. Each is a connection of its own. */
const concurrency = 100;

const putOffError = "not sent, as the receiver did not answer the last deliveries";

export interface WebhookSenderOptions {
  store: Pick<DeliveryStore, "fanOut" | "take" | "putOff" | "remove" | "fail">;
  tenants: Pick<TenantsFile, "get" | "generation">;
  metrics: Pick<Metrics, "webhooks">;
  logger: Logger;
  /** Whether webhooks may go to private addresses, and by plain http. */
  allowPrivate: boolean;
  /** Milliseconds between two looks for something to do. Default 1000. */
  intervalMs?: number;
}

export class WebhookSender implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #loop = new Loop(() => this.#turn());
  readonly #running = new Set<Promise<void>>();
  readonly #receivers = new Receivers();

  constructor(private readonly options: WebhookSenderOptions) {}

  /** Whether deliveries are still looked for. */
  isTurning(): boolean {
    return this.#loop.isTurning();
  }

  onApplicationBootstrap(): void {
    this.#loop.start();
  }

  /** Attempts that run are finished; each is bounded in time. */
  async onApplicationShutdown(): Promise<void> {
    await this.#loop.stop();
    await Promise.all(this.#running);
  }

  async #turn(): Promise<number> {
    const { store, tenants, logger, intervalMs = 1_000 } = this.options;
    let more = false;
    try {
      more = await store.fanOut(tenants);
      await this.#putOff(this.#receivers.paused());
      const total = concurrency - this.#running.size;
      const room = { total, perUrl: this.#receivers.usual, limits: this.#receivers.limits() };
      for (const delivery of total > 0 ? await store.take(room) : []) this.#start(delivery);
    } catch (error) {
      logger.warn({ err: error }, "webhooks wait for the database");
    }
    return more ? 0 : intervalMs;
  }

  async #putOff(urls: string[]): Promise<void> {
    if (urls.length === 0) return;
    const { failed, dead } = await this.options.store.putOff(urls, putOffError);
    this.options.metrics.webhooks.inc({ outcome: "failed" }, failed);
    this.options.metrics.webhooks.inc({ outcome: "dead" }, dead);
  }

  /** Where one attempt has ended the next can begin, so the loop does not wait for its time. */
  #start(delivery: Delivery): void {
    this.#receivers.begin(delivery.url);
    let isAlive: boolean | undefined;
    const note = (alive: boolean) => {
      isAlive = alive;
    };
    const attempt = this.#attempt(delivery, note)
      .catch((error: unknown) => this.options.logger.warn({ err: error }, "a webhook's outcome could not be noted"))
      .finally(() => {
        this.#running.delete(attempt);
        this.#receivers.end(delivery.url, isAlive);
        this.#loop.wake();
      });
    this.#running.add(attempt);
  }

  /** `note` is told whether the receiver can be reached and is well. */
  async #attempt(delivery: Delivery, note: (isAlive: boolean) => void): Promise<void> {
    const { id, url, attempts, event, tenantsGeneration } = delivery;
    const { store, tenants, metrics, logger, allowPrivate } = this.options;
    const webhook = tenants.get(event.tenant)?.webhooks.find((one) => one.url === url);
    if (webhook === undefined) {
      if (isBehind(tenants.generation, tenantsGeneration)) return; // in a minute it is another's
      return store.remove(id); // taken out of the config meanwhile
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
      gone = answer.status === 410; // it wants no more of this
    } catch (error) {
      note(false);
      failure = (error as Error).message;
    }
    const next = gone ? "dead" : nextAttempt(attempts, retryAfter);
    metrics.webhooks.inc({ outcome: next === "dead" ? "dead" : "failed" });
    logger.warn({ tenant: event.tenant, sessionId: event.sessionId, attempts, failure, next }, "webhook not delivered");
    await store.fail(id, failure, next);
  }
}
