/** Lists the listening ports of sessions, and makes links to them. */
import { Inject, UseGuards } from "@nestjs/common";
import type { z } from "zod";
import type { ListeningPort } from "../berthd/gen/berth/v1/ports_pb.ts";
import type { SandboxUrl } from "../domain/sandboxUrl.ts";
import { Grants } from "../store/grants.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { PortTokens } from "./access/portTokens.ts";
import { note } from "./grantsController.ts";
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
    @Inject(Grants) private readonly grants: Grants,
    @Inject(SANDBOX_URL) private readonly sandboxUrl: SandboxUrl | null,
  ) {}

  @Get()
  @Allow("write")
  @Describe({
    summary: "List the TCP ports on which the session's programs listen, without those of the platform",
    answers: { 200: { description: "The ports by number, one entry for each address.", json: PortsJson } },
    refusals: {
      409: "The session is not running, or its pod's version lacks this service.",
      502: "The session's pod sent an invalid answer.",
    },
  })
  async listPorts(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<z.infer<typeof PortsJson>> {
    const session = await this.pods.read(id, caller, "port", "lists the ports");
    const list = await this.pods.ask(session, "ports", ({ ports }, options) => ports.list({}, options));
    const urlOf = (port: number) => this.sandboxUrl?.urlOf({ sessionId: id, port }) ?? null;
    return { items: list.ports.map((one) => ({ ...portJson(one), url: urlOf(one.port) })) };
  }

  @Post(":port/links")
  @Allow("write")
  @Describe({
    summary: "Make a link for one browser to a port of the session, and a token for programs",
    answers: {
      201: { description: "The link. It does not matter whether a program listens yet.", json: PortLinkJson },
    },
    refusals: { 409: "The session is not running, or the stack has no `sandboxUrl`." },
  })
  async makePortLink(
    @Caller() caller: TenantCaller,
    @Param({ schema: PortParams }) { id, port }: PortParams,
    @Body({ schema: PortLinkBody }) { lifetimeSeconds, path }: PortLinkBody,
  ): Promise<z.infer<typeof PortLinkJson>> {
    if (this.sandboxUrl === null) {
      throw new Problem(409, "Ports can't be reached from outside, because the stack's config has no sandboxUrl.");
    }
    const { tenant, credential, actor } = caller;
    const sessionPort = { sessionId: id, port };
    const permission = this.tokens.permit(sessionPort, { tenant: tenant.name, path, credential }, lifetimeSeconds);
    await this.pods.findRunning(id, caller);
    await note(this.grants, { ...permission, kind: "port", access: "use", madeBy: actor });
    // The link is recorded before the caller gets it. The audit trail contains the link's id, not the link.
    await this.pods.use(id, caller, "port", `makes the link ${permission.id} to the port ${port}`);
    const [ticket, token] = await Promise.all([
      this.tokens.sign("ticket", permission),
      this.tokens.sign("token", permission),
    ]);
    const url = `${this.sandboxUrl.urlOf(sessionPort)}${linkPath.slice(1)}?ticket=${ticket}`;
    return { id: permission.id, url, token, expiresAt: permission.expiresAt.toISOString() };
  }
}

const portJson = ({ port, address, pid, program }: ListeningPort) => ({
  port,
  address,
  pid: pid || null,
  program: program || null,
});
