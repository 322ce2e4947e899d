import { Controller, Get, Header, Inject, Res } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { Health, type Report } from "./health.ts";

@Controller("health")
export class HealthController {
  constructor(@Inject(Health) private readonly health: Health) {}

  @Get("startup")
  @Header("cache-control", "no-store")
  async startup(@Res({ passthrough: true }) reply: FastifyReply): Promise<Report> {
    return answer(reply, await this.health.startup());
  }

  @Get("live")
  @Header("cache-control", "no-store")
  live(@Res({ passthrough: true }) reply: FastifyReply): Report {
    return answer(reply, this.health.live());
  }

  @Get("ready")
  @Header("cache-control", "no-store")
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<Report> {
    return answer(reply, await this.health.ready());
  }
}

function answer(reply: FastifyReply, report: Report): Report {
  reply.status(report.ok ? 200 : 503);
  return report;
}
