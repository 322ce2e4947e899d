/** Lets a request pass to its handler if the caller is known, within its rate limit and allowed; see access.ts. */
import { type CanActivate, type ExecutionContext, Inject, Injectable } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { addToLogContext } from "../../telemetry/logContext.ts";
import { Access } from "./access.ts";
import { type CallerRequest, rightsOf, takesTickets } from "./caller.ts";

@Injectable()
export class CallerGuard implements CanActivate {
  constructor(@Inject(Access) private readonly access: Access) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<CallerRequest>();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    const handler = context.getHandler();
    request.caller = await this.access.admit(
      { authorization: request.headers.authorization, address: request.ip },
      rightsOf(handler) ?? [],
      takesTickets(handler) ? (request.params as { id?: string }).id : undefined,
      (caller, rateHeaders) => {
        if (caller.role === "tenant") addToLogContext({ tenant: caller.tenant.name });
        reply.headers({ "cache-control": "no-store", ...rateHeaders }); // the answer is only for this caller and this moment
      },
    );
    return true;
  }
}
