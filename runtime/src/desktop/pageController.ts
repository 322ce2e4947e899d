import { Controller, Get, Header, Res } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { contentSecurityPolicy } from "./page.ts";

/** /desktop/:id: one page for all sessions; it reads the id from its address and everything else from the API. */
@Controller("desktop")
export class PageController {
  @Get(":id")
  @Header("content-security-policy", contentSecurityPolicy)
  @Header("referrer-policy", "no-referrer")
  @Header("x-content-type-options", "nosniff")
  @Header("cache-control", "no-cache")
  page(@Res() reply: FastifyReply): void {
    reply.sendFile("desktop.html");
  }
}
