/** The caller of a request, its rights, and the decorators by which a handler names the rights that it needs. */
import { createParamDecorator, type ExecutionContext, SetMetadata } from "@nestjs/common";
import type { FastifyRequest } from "fastify";
import type { Actor } from "../../domain/event.ts";
import type { Scope, Tenant } from "../../domain/tenants.ts";
import type { Credential } from "./credential.ts";

export interface TenantCaller {
  role: "tenant";
  tenant: Tenant;
  scopes: readonly Scope[];
  actor: Actor;
  /**
   * The key or token that the caller used, or the credential that is stored in the caller's ticket or link. Long-lived
   * connections end when the credential is no longer valid.
   */
  credential: Credential;
  /** The id of the caller's ticket or link, if the ticket or link can be revoked. Undefined for a key or a token. */
  grant?: string | undefined;
}

export interface AdminCaller {
  role: "admin";
  actor: Actor;
}

export type CallerInfo = TenantCaller | AdminCaller;

/** A right that a handler may require: a scope of a tenant's key, or the admin. */
export type Right = Scope | "admin";

/**
 * The rights that a key needs for each WebSocket into a session. The gateway admits callers by them, and the controllers put them
 * into the API's description.
 */
export const webSocketRights = { desktop: ["desktop"], attach: ["write"], exec: ["write"] } as const satisfies Record<
  string,
  readonly Scope[]
>;

export type CallerRequest = FastifyRequest & { caller?: CallerInfo };

const rights = "berth:rights";
const ticketsToo = "berth:tickets-too";

/** Allows callers that have one of these rights. */
export const Allow = (...allowed: Right[]) => SetMetadata(rights, allowed);

export const rightsOf = (handler: object) => Reflect.getMetadata(rights, handler) as Right[] | undefined;

/** Also allows a desktop ticket of the session `:id` in the route. */
export const TicketsToo = () => SetMetadata(ticketsToo, true);

export const takesTickets = (handler: object) => Reflect.getMetadata(ticketsToo, handler) === true;

/** The caller of a handler that tenants and the admin may call. */
export const AnyCaller = createParamDecorator((_data: unknown, context: ExecutionContext): CallerInfo => {
  const { caller } = context.switchToHttp().getRequest<CallerRequest>();
  if (caller === undefined) throw new Error("the decorator @AnyCaller needs the guard CallerGuard");
  return caller;
});

/** The caller of a handler that only tenants may call. */
export const Caller = createParamDecorator((_data: unknown, context: ExecutionContext): TenantCaller => {
  const { caller } = context.switchToHttp().getRequest<CallerRequest>();
  if (caller?.role !== "tenant") throw new Error("the decorator @Caller needs a handler that allows only tenants");
  return caller;
});

/** The token of an `Authorization: Bearer` header. */
export function bearer(header: string | undefined): string | undefined {
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(header ?? "")?.[1];
}
