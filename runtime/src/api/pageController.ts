import { Controller, Get, Header } from "@nestjs/common";
import { contentSecurityPolicy, page } from "./page.ts";

/**
 * Serves /desktop/:id, which is the same page for all sessions. The page's script reads the session's id from the address and
 * everything else from the API.
 */
@Controller("desktop")
export class PageController {
  @Get(":id")
  @Header("content-type", "text/html; charset=utf-8")
  @Header("content-security-policy", contentSecurityPolicy)
  @Header("referrer-policy", "no-referrer")
  @Header("x-content-type-options", "nosniff")
  @Header("cache-control", "no-store")
  page(): string {
    return page().html;
  }
}
