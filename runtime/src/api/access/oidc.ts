/** Verifies tokens of an identity provider (OpenID Connect): the subject, its tenant and its scopes. */
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify, type RemoteJWKSet } from "jose";
import type { Logger } from "pino";
import { z } from "zod";
import { type Scope, scopes } from "../../domain/tenants.ts";
import { Problem } from "../http/problem.ts";

export interface OidcOptions {
  /** The provider's address, without a slash at its end. The `iss` of a token may have the slash: some providers add it. */
  issuer: string;
  /** The audience that the tokens must have in `aud`. */
  audience: string;
  /** The claim that contains the tenant's name. */
  tenantClaim: string;
  logger: Logger;
}

export interface Identity {
  subject: string;
  tenant: string;
  /** Those of the scopes `read`, `write` and `desktop` that the token's claim `scope` contains. */
  scopes: Scope[];
  /** Until when the token is valid, in milliseconds since 1970, including the tolerance for clocks. */
  expiresAt: number;
}

/** The accepted algorithms. All need the provider's private key. Algorithms with a shared secret, and `none`, are refused. */
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

/** By how many seconds the provider's clock and ours may differ. */
const clockToleranceSeconds = 30;

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.url({ protocol: /^https?$/ }) });

export class Oidc {
  #keys: Promise<RemoteJWKSet> | undefined;

  constructor(private readonly options: OidcOptions) {}

  /**
   * What the token says. Undefined if the token is not valid, for example because it has expired or has another issuer
   * or audience. Throws a 503 if the provider does not answer.
   */
  async verify(token: string): Promise<Identity | undefined> {
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return undefined;
    const { issuer, audience, tenantClaim, logger } = this.options;
    let payload: JWTPayload;
    try {
      const keys = await this.#discover();
      ({ payload } = await jwtVerify(token, keys, {
        issuer: [issuer, `${issuer}/`],
        audience,
        algorithms,
        requiredClaims: ["exp", "sub", tenantClaim],
        clockTolerance: clockToleranceSeconds,
      }));
    } catch (error) {
      if (isRefusal(error)) return undefined;
      logger.warn({ err: error, issuer }, "the identity provider does not answer");
      throw new Problem(503, "The identity provider can't be reached at the moment. Please try again.");
    }
    const tenant = payload[tenantClaim];
    if (typeof tenant !== "string") return undefined;
    const granted = typeof payload.scope === "string" ? payload.scope.split(" ") : [];
    return {
      subject: String(payload.sub).slice(0, 200),
      tenant,
      scopes: scopes.filter((one) => granted.includes(one)),
      expiresAt: ((payload.exp ?? 0) + clockToleranceSeconds) * 1_000,
    };
  }

  /** Reads the provider's metadata once. After a failure, the next call reads it again. */
  #discover(): Promise<RemoteJWKSet> {
    this.#keys ??= discover(this.options.issuer).catch((error: unknown) => {
      this.#keys = undefined;
      throw error;
    });
    return this.#keys;
  }
}

async function discover(issuer: string): Promise<RemoteJWKSet> {
  const url = `${issuer}/.well-known/openid-configuration`;
  const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(5_000) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const document = Discovery.parse(await response.json());
  if (document.issuer.replace(/\/$/, "") !== issuer)
    throw new Error(`${url} names the issuer ${document.issuer}, but the config names ${issuer}`);
  return createRemoteJWKSet(new URL(document.jwks_uri));
}

/** Whether the error means that the token is invalid, and not that the provider's keys can't be read. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  );
}
