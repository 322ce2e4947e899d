/** A viewer of a desktop. If the connection is lost, the viewer connects again by itself, as the desktop's page does. */
import { setTimeout as sleep } from "node:timers/promises";
import { desktopUrl, keyOf } from "../berth.ts";
import { openDesktop } from "../rfb.ts";
import type { Tenant } from "./sessions.ts";

export interface Loss {
  /** The milliseconds from the loss until the desktop was connected again. */
  ms: number;
  /** The number of attempts to reconnect. The waits are at most 0.32 s before the first attempt, and 0.63 s before the second. */
  tries: number;
}

export class Viewer {
  /** The losses after which the desktop was connected again. */
  readonly losses: Loss[] = [];
  /** The close codes of the connections. */
  readonly codes: number[] = [];
  #leaving = false;
  #socket: Awaited<ReturnType<typeof openDesktop>>["socket"] | undefined;
  #lostAt: number | undefined;
  #tries = 0;

  readonly #url: string;
  readonly #headers: Record<string, string>;

  private constructor(url: string, headers: Record<string, string>) {
    this.#url = url;
    this.#headers = headers;
  }

  /**
   * Opens the desktop, and resolves when the desktop is connected.
   * @param ticket the ticket that authorizes the viewer. Default: the tenant's key
   */
  static async open(tenant: Tenant, id: string, ticket?: string): Promise<Viewer> {
    const viewer = ticket
      ? new Viewer(`${desktopUrl(id)}?ticket=${ticket}`, {})
      : new Viewer(desktopUrl(id), { authorization: `Bearer ${keyOf(tenant)}` });
    await viewer.#connect();
    return viewer;
  }

  get isConnected(): boolean {
    return this.#lostAt === undefined;
  }

  leave(): void {
    this.#leaving = true;
    this.#socket?.terminate();
  }

  async #connect(): Promise<void> {
    const { socket } = await openDesktop(this.#url, this.#headers);
    this.#socket = socket;
    if (this.#lostAt !== undefined) this.losses.push({ ms: performance.now() - this.#lostAt, tries: this.#tries });
    this.#lostAt = undefined;
    this.#tries = 0;
    socket.on("close", (code) => {
      if (this.#leaving) return;
      this.codes.push(code);
      this.#lostAt = performance.now();
      void this.#again();
    });
    socket.on("error", () => {});
  }

  /** Waits as the desktop's page does: first a quarter of a second, then twice as long each time, but at most 5 s. */
  async #again(): Promise<void> {
    for (let lost = 0; !this.#leaving; lost += 1) {
      await sleep(Math.min(5_000, 250 * 2 ** lost) * (0.75 + Math.random() / 2));
      this.#tries += 1;
      try {
        return await this.#connect();
      } catch {} // the next iteration tries again
    }
  }
}
