/** What listens in sessions, and links to it. */
import { Inject, UseGuards } from "@nestjs/common";
import type { z } from "zod";
import type { SandboxUrl } from "../domain/sandboxUrl.ts";
import type { ListeningPort } from "../pod/gen/berth/v1/ports_pb.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { PortTokens } from "./access/portTokens.ts";
import { IdParams } from "./http/input.ts";
import { Problem } from "./http/problem.ts";
import { Body, Controller, Get, Param, Post } from "./http/routes.ts";
import { Describe } from "./openApi.ts";
import { linkPath, PortLinkBody, PortLinkJson, PortParams, PortsJson } from "./portJson.ts";
import { SessionPods } from "./sessionPods.ts";
import { SANDBOX_URL } from "./tokens.ts";

@Controller("v1/sessions/:id/ports")
@UseGuards(CallerGuard)
export class PortsController {
  constructor(
    @Inject(SessionPods) private readonly pods: SessionPods,
    @Inject(PortTokens) private readonly tokens: PortTokens,
    @Inject(SANDBOX_URL) private readonly sandboxUrl: SandboxUrl | null,
  ) {}

  @Get()
  @Allow("write")
  @Describe({
    summary: "The TCP ports that the session's programs listen on, but for those of the platform itself",
    answers: { 200: { description: "By number, one for each address.", json: PortsJson } },
    refusals: {
      409: "The session is not running, or its pod is of a version without this service.",
      502: "The session's pod gave an answer that nobody understands.",
    },
  })
  async listPorts(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<z.infer<typeof PortsJson>> {
    const session = await this.pods.look(id, caller);
    const list = await this.pods.ask(session, "ports", ({ ports }, options) => ports.list({}, options));
    const urlOf = (port: number) => this.sandboxUrl?.urlOf({ sessionId: id, port }) ?? null;
    return { items: list.ports.map((one) => ({ ...portJson(one), url: urlOf(one.port) })) };
  }

  @Post(":port/links")
  @Allow("write")
  @Describe({
    summary: "A link by which one browser may use a port of the session, and a token for programs, until they expire",
    answers: { 201: { description: "The link, whether something listens or not.", json: PortLinkJson } },
    refusals: { 409: "The session is not running, or the stack has no `sandboxUrl`." },
  })
  async makePortLink(
    @Caller() caller: TenantCaller,
    @Param({ schema: PortParams }) { id, port }: PortParams,
    @Body({ schema: PortLinkBody }) { expiresInSeconds, path }: PortLinkBody,
  ): Promise<z.infer<typeof PortLinkJson>> {
    if (this.sandboxUrl === null) {
      throw new Problem(409, "Ports have no address here: the stack's config has no sandboxUrl.");
    }
    const { tenant, credential } = caller;
    const place = { sessionId: id, port };
    const permission = this.tokens.permit(place, { tenant: tenant.name, path, credential }, expiresInSeconds);
    // On record before anybody has it: what is done by it is on record by its id.
    await this.pods.use(id, caller, "port", `makes the link ${permission.id} to the port ${port}`);
    const [ticket, token] = await Promise.all([
      this.tokens.sign("ticket", permission),
      this.tokens.sign("token", permission),
    ]);
    const url = `${this.sandboxUrl.urlOf(place)}${linkPath.slice(1)}?ticket=${ticket}`;
    return { url, token, expiresAt: permission.expiresAt.toISOString() };
  }
}

const portJson = ({ port, address, pid, program }: ListeningPort) => ({
  port,
  address,
  pid: pid || null,
  program: program || null,
});
