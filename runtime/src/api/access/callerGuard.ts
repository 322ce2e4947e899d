/** Lets a request through to its handler if its caller is known, within the rate and in the right. */
import { type CanActivate, type ExecutionContext, Inject, Injectable } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { addToLogContext } from "../../telemetry/logContext.ts";
import { Authenticator } from "./authenticator.ts";
import { authorize, bearer, type CallerRequest, rightsOf, takesTickets } from "./caller.ts";
import { RateLimit } from "./rateLimit.ts";

@Injectable()
export class CallerGuard implements CanActivate {
  constructor(
    @Inject(Authenticator) private readonly authenticator: Authenticator,
    @Inject(RateLimit) private readonly rateLimit: RateLimit,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<CallerRequest>();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    const handler = context.getHandler();
    const caller = await this.authenticator.identify(bearer(request.headers.authorization), {
      address: request.ip,
      ...(takesTickets(handler) && { sessionId: (request.params as { id?: string }).id }),
    });
    if (caller.role === "tenant") addToLogContext({ tenant: caller.tenant.name });
    reply.header("cache-control", "no-store"); // it is for this caller, and for now
    const rate = await this.rateLimit.take(caller);
    if (rate !== undefined) reply.headers(rate.headers);
    rate?.refuse();
    authorize(caller, rightsOf(handler) ?? []);
    request.caller = caller;
    return true;
  }
}
