/**
 * The API and the gateway forward calls to each other. Each forwarded call contains a proof that only these processes
 * can make. With a valid proof, the receiver trusts the address of the caller in the headers, whatever address the
 * sender's pod has. Without a proof, it trusts only the proxies in `TRUSTED_PROXIES`.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import proxyAddr from "@fastify/proxy-addr";
import type { TokenKeys } from "../../config/tokenKeys.ts";

const proofHeader = "x-berth-peer";

export class Peers {
  readonly #isTrusted: ReturnType<typeof proxyAddr.compile>;

  /** @param trustedProxies networks whose X-Forwarded-For is trusted, in CIDR notation */
  constructor(
    private readonly keys: TokenKeys,
    trustedProxies: string[] = [],
  ) {
    this.#isTrusted = proxyAddr.compile(trustedProxies);
  }

  /**
   * Headers that tell the receiver of a forwarded call the caller's address. The forwarder must send them in place of the
   * caller's headers with the same names.
   */
  headersFor(address: string | undefined): Record<string, string> {
    return {
      [proofHeader]: this.#proof(this.keys.current) ?? "",
      ...(address !== undefined && { "x-forwarded-for": address }),
    };
  }

  /** Whether the API or the gateway has forwarded the call. */
  isPeer({ headers }: Pick<IncomingMessage, "headers">): boolean {
    const shown = String(headers[proofHeader] ?? "");
    const [, id] = /^(\d{1,5})\./.exec(shown) ?? [];
    const right = this.#proof(Number(id));
    const [given, wanted] = [Buffer.from(shown), Buffer.from(right ?? "")];
    return right !== undefined && given.length === wanted.length && timingSafeEqual(given, wanted);
  }

  /**
   * `<key id>.<proof>`; undefined if this process does not have the key. A pod's token can't be mistaken for a proof,
   * because a pod's token begins with a session's id, and a proof with a number of at most five digits.
   */
  #proof(id: number): string | undefined {
    const key = this.keys.get(id);
    return key && `${id}.${createHmac("sha256", key).update("peer:api-and-gateway").digest("base64url")}`;
  }

  /**
   * Whether many clients share the call's connection: true if the call comes from the API, from the gateway, or from a trusted
   * proxy.
   */
  isShared(request: IncomingMessage): boolean {
    return this.isPeer(request) || this.#isTrusted(request.socket.remoteAddress ?? "", 0);
  }

  /**
   * The address of the client. In a call that the API or the gateway has forwarded: the address that it sent. In other calls:
   * the address that is nearest to this process and does not belong to a trusted proxy.
   */
  addressOf(request: IncomingMessage): string | undefined {
    const { "x-forwarded-for": forwardedFor } = request.headers;
    return this.isPeer(request) && typeof forwardedFor === "string"
      ? forwardedFor
      : proxyAddr(request, this.#isTrusted);
  }
}
