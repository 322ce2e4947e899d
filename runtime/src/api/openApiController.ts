import { Controller, Get, Header, Inject } from "@nestjs/common";

/** The API's description, as an injectable value. */
export const OPEN_API = Symbol("OPEN_API");

/** Public: the description contains nothing about tenants. */
@Controller("v1/openapi.json")
export class OpenApiController {
  constructor(@Inject(OPEN_API) private readonly document: object) {}

  @Get()
  @Header("cache-control", "no-cache")
  get(): object {
    return this.document;
  }
}
