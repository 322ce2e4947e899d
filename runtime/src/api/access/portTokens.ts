/**
 * Permissions for one port of a session: a link's ticket, by which a browser gets in once, and a token, which lets in for as
 * long as it is good: the browser's cookie after that, or a program's header.
 */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { TokenKeys } from "../../config/tokenKeys.ts";
import type { PortPlace } from "../../domain/sandboxUrl.ts";
import { Credential } from "./credential.ts";
import { sign, verify } from "./signedTokens.ts";

const audiences = { ticket: "berth-port-link", token: "berth-port" } as const;
const Claims = z.object({
  sub: z.uuid(),
  tenant: z.string(),
  port: z.int(),
  jti: z.string(),
  exp: z.number(),
  path: z.string(),
  by: Credential,
});

/** What is permitted, and until when. */
export interface PortPermission extends PortPlace {
  /** Of the link that it came from. */
  id: string;
  tenant: string;
  /** Where in the program the link leads: a path with its query. */
  path: string;
  /** Without what the link was made with it is good for nothing. */
  credential: Credential;
  expiresAt: Date;
}

export class PortTokens {
  constructor(private readonly keys: TokenKeys) {}

  /** A new permission, from now on. */
  permit(
    place: PortPlace,
    { tenant, path, credential }: Pick<PortPermission, "tenant" | "path" | "credential">,
    lifetimeSeconds: number,
  ): PortPermission {
    const { sessionId, port } = place;
    const expiresAt = new Date((Math.floor(Date.now() / 1000) + lifetimeSeconds) * 1000);
    return { id: randomUUID(), sessionId, port, tenant, path, credential, expiresAt };
  }

  /** The permission as a text that is good until it expires. A token is sent with each request, so it has no path. */
  sign(kind: keyof typeof audiences, permission: PortPermission): Promise<string> {
    const { port, tenant, path, credential } = permission;
    const claims = { tenant, port, path: kind === "ticket" ? path : "/", by: credential };
    return sign(this.keys, audiences[kind], permission, claims);
  }

  /** What the text permits at this port, or undefined if it is not ours, has expired, is damaged, or is for another port. */
  async verify(kind: keyof typeof audiences, text: string, place: PortPlace): Promise<PortPermission | undefined> {
    const verified = await verify(this.keys, audiences[kind], Claims, text);
    if (verified === undefined) return undefined;
    const { sub: sessionId, tenant, port, path, jti: id, exp, by: credential } = verified.claims;
    if (sessionId !== place.sessionId || port !== place.port) return undefined;
    return { id, sessionId, port, tenant, path, credential, expiresAt: new Date(exp * 1000) };
  }
}
