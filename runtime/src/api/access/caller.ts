/** Who calls, what that lets them do, and the decorators that say so at a handler. */
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
  /** What it is let in by; what goes on for long ends with it. */
  credential: Credential;
  /** The id of the ticket or link that it came by, with which that ends too. Undefined for a key, and where it is not noted. */
  grant?: string | undefined;
}

export interface AdminCaller {
  role: "admin";
  actor: Actor;
}

export type CallerInfo = TenantCaller | AdminCaller;

/** What a handler asks of its caller: a tenant with that scope, or the admin. */
export type Right = Scope | "admin";

export type CallerRequest = FastifyRequest & { caller?: CallerInfo };

const rights = "berth:rights";
const ticketsToo = "berth:tickets-too";

/** Who may call the handler: whoever has one of the rights. */
export const Allow = (...allowed: Right[]) => SetMetadata(rights, allowed);

export const rightsOf = (handler: object) => Reflect.getMetadata(rights, handler) as Right[] | undefined;

/** Lets a desktop ticket read what it is for: the session `:id` of the route. */
export const TicketsToo = () => SetMetadata(ticketsToo, true);

export const takesTickets = (handler: object) => Reflect.getMetadata(ticketsToo, handler) === true;

/** The caller of a handler that may be called by tenants and by the admin. */
export const AnyCaller = createParamDecorator((_data: unknown, context: ExecutionContext): CallerInfo => {
  const { caller } = context.switchToHttp().getRequest<CallerRequest>();
  if (caller === undefined) throw new Error("@Caller without CallerGuard");
  return caller;
});

/** The caller of a handler that only tenants may call. */
export const Caller = createParamDecorator((_data: unknown, context: ExecutionContext): TenantCaller => {
  const { caller } = context.switchToHttp().getRequest<CallerRequest>();
  if (caller?.role !== "tenant") throw new Error("@Caller where not only tenants are let in");
  return caller;
});

/** The token of an `Authorization: Bearer` header. */
export function bearer(header: string | undefined): string | undefined {
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(header ?? "")?.[1];
}
