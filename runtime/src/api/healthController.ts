import { Controller, Get, Header, Inject, Res, ServiceUnavailableException } from "@nestjs/common";
import { HealthCheckService, type HealthIndicatorFunction } from "@nestjs/terminus";
import type { FastifyReply } from "fastify";
import { Health } from "../telemetry/health.ts";

/** Answers with 200 or 503 and the state of each check: `{"status": "ok" | "degraded" | "error", "details": {…}}`. */
@Controller("health")
export class HealthController {
  constructor(
    @Inject(Health) private readonly health: Health,
    @Inject(HealthCheckService) private readonly checks: HealthCheckService,
  ) {}

  @Get("startup")
  @Header("cache-control", "no-store")
  startup(@Res({ passthrough: true }) reply: FastifyReply): Promise<unknown> {
    return this.#answer(reply, this.health.startup());
  }

  @Get("live")
  @Header("cache-control", "no-store")
  live(@Res({ passthrough: true }) reply: FastifyReply): Promise<unknown> {
    return this.#answer(reply, this.health.live());
  }

  @Get("ready")
  @Header("cache-control", "no-store")
  ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<unknown> {
    return this.#answer(reply, this.health.ready());
  }

  async #answer(reply: FastifyReply, indicators: HealthIndicatorFunction[]): Promise<unknown> {
    try {
      return await this.checks.check(indicators);
    } catch (error) {
      if (!(error instanceof ServiceUnavailableException)) throw error;
      reply.status(503);
      return error.getResponse();
    }
  }
}
