/**
 * API and gateway pass calls on to each other. By a proof that only they can make, the one believes of the other for whom it
 * calls, whatever address its pod has; of anybody else only `TRUSTED_PROXIES` are believed.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import proxyAddr from "@fastify/proxy-addr";
import type { TokenKeys } from "../../config/tokenKeys.ts";

const proofHeader = "x-berth-peer";

export class Peers {
  readonly #isTrusted: ReturnType<typeof proxyAddr.compile>;

  /** @param trustedProxies networks whose X-Forwarded-For is believed, in CIDR notation */
  constructor(
    private readonly keys: TokenKeys,
    trustedProxies: string[] = [],
  ) {
    this.#isTrusted = proxyAddr.compile(trustedProxies);
  }

  /** What a call that is passed on says of the one who makes it. They take the place of the caller's own headers. */
  headersFor(address: string | undefined): Record<string, string> {
    return {
      [proofHeader]: this.#proof(this.keys.current) ?? "",
      ...(address !== undefined && { "x-forwarded-for": address }),
    };
  }

  /** Whether the other one has passed the call on. */
  isPeer({ headers }: Pick<IncomingMessage, "headers">): boolean {
    const shown = String(headers[proofHeader] ?? "");
    const [, id] = /^(\d{1,5})\./.exec(shown) ?? [];
    const right = this.#proof(Number(id));
    const [given, wanted] = [Buffer.from(shown), Buffer.from(right ?? "")];
    return right !== undefined && given.length === wanted.length && timingSafeEqual(given, wanted);
  }

  /** `<key id>.<proof>`; undefined if that key is not known here. No token of a pod is such a proof: an id of a session has another form. */
  #proof(id: number): string | undefined {
    const key = this.keys.get(id);
    return key && `${id}.${createHmac("sha256", key).update("peer:api-and-gateway").digest("base64url")}`;
  }

  /** Whether the call comes over a connection that is many clients': of a proxy that is believed, or of the other one. */
  isShared(request: IncomingMessage): boolean {
    return this.isPeer(request) || this.#isTrusted(request.socket.remoteAddress ?? "", 0);
  }

  /** The address of who is behind the request, past the proxies that are believed. */
  addressOf(request: IncomingMessage): string | undefined {
    const { "x-forwarded-for": told } = request.headers;
    return this.isPeer(request) && typeof told === "string" ? told : proxyAddr(request, this.#isTrusted);
  }
}
