/** What listens in sessions. */
import { Inject, UseGuards } from "@nestjs/common";
import { z } from "zod";
import type { ListeningPort } from "../pod/gen/berth/v1/ports_pb.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { IdParams } from "./http/input.ts";
import { Controller, Get, Param } from "./http/routes.ts";
import { Describe } from "./openApi.ts";
import { SessionPods } from "./sessionPods.ts";

const PortJson = z
  .object({
    port: z.int(),
    address: z.string().meta({ description: "Where it listens, e.g. 0.0.0.0, 127.0.0.1 or ::." }),
    pid: z.int().nullable().meta({ description: "The program that listens, where it can be told." }),
    program: z.string().nullable(),
  })
  .meta({ id: "Port" });

const PortsJson = z.object({ items: z.array(PortJson) }).meta({ id: "Ports" });

@Controller("v1/sessions/:id/ports")
@UseGuards(CallerGuard)
export class PortsController {
  constructor(@Inject(SessionPods) private readonly pods: SessionPods) {}

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
    return { items: list.ports.map(portJson) };
  }
}

const portJson = ({ port, address, pid, program }: ListeningPort): z.infer<typeof PortJson> => ({
  port,
  address,
  pid: pid || null,
  program: program || null,
});
