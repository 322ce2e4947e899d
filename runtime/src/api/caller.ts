/** Who calls: the guard that asks for a key, and the decorator that hands the caller to a handler. */
import {
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Inject,
  Injectable,
  SetMetadata,
} from "@nestjs/common";
import { Reflector } from "@nestjs/core";
import type { FastifyRequest } from "fastify";
import { Tickets } from "../desktop/tickets.ts";
import { addToLogContext } from "../logging/context.ts";
import type { Actor } from "../sessions/sessionStore.ts";
import type { Tenant } from "../tenants/tenants.ts";
import { TenantsFile } from "../tenants/tenantsFile.ts";
import { Problem } from "./problem.ts";

export interface CallerInfo {
  tenant: Tenant;
  actor: Actor;
}

type CallerRequest = FastifyRequest & { caller?: CallerInfo };

const ticketsToo = "berth:tickets-too";

/** Lets a desktop ticket read what it is for: the session `:id` of the route. */
export const TicketsToo = () => SetMetadata(ticketsToo, true);

export const Caller = createParamDecorator((_data: unknown, context: ExecutionContext): CallerInfo => {
  const { caller } = context.switchToHttp().getRequest<CallerRequest>();
  if (caller === undefined) throw new Error("@Caller without CallerGuard");
  return caller;
});

/** The token of an `Authorization: Bearer` header. */
export function bearer(header: string | undefined): string | undefined {
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(header ?? "")?.[1];
}

@Injectable()
export class CallerGuard implements CanActivate {
  constructor(
    @Inject(TenantsFile) private readonly tenants: TenantsFile,
    @Inject(Tickets) private readonly tickets: Tickets,
    @Inject(Reflector) private readonly reflector: Reflector,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<CallerRequest>();
    const token = bearer(request.headers.authorization);
    if (token === undefined) throw new Problem(401, "A key is needed: Authorization: Bearer <key>.");
    const holder = this.tenants.findKeyHolder(token);
    if (holder?.role === "tenant" && !holder.expired) {
      addToLogContext({ tenant: holder.tenant.name });
      request.caller = { tenant: holder.tenant, actor: { name: `key:${holder.key}`, address: request.ip } };
      return true;
    }
    if (this.reflector.get<boolean>(ticketsToo, context.getHandler()) === true) {
      const ticket = await this.tickets.verify(token);
      const tenant = ticket && this.tenants.get(ticket.tenant);
      if (tenant !== undefined && ticket?.sessionId === (request.params as { id?: string }).id) {
        addToLogContext({ tenant: tenant.name });
        request.caller = { tenant, actor: { name: "ticket", address: request.ip } };
        return true;
      }
    }
    throw new Problem(401, "The key is not valid.");
  }
}
