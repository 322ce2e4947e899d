/** Lists and closes the open connections into a session. The list has the connections of all processes. */
import { HttpCode, Inject, UseGuards } from "@nestjs/common";
import { z } from "zod";
import type { Use } from "../domain/event.ts";
import { states } from "../domain/states/state.ts";
import { connectionKinds, connectionModes, type OpenConnection, OpenConnections } from "../queue/openConnections.ts";
import { SessionCommands } from "../store/sessionCommands.ts";
import { SessionQueries } from "../store/sessionQueries.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { found, IdParams } from "./http/input.ts";
import { Problem } from "./http/problem.ts";
import { Controller, Delete, Get, Param } from "./http/routes.ts";
import { Describe } from "./openApi.ts";
import { Reads } from "./reads.ts";

const ConnectionJson = z
  .object({
    id: z.uuid(),
    kind: z.enum(connectionKinds).meta({
      description:
        "process: somebody is attached to a program or watches it; command: a caller waits for its end; file: a file or archive is transferred; watch: somebody watches a folder.",
    }),
    mode: z
      .enum(connectionModes)
      .nullable()
      .meta({ description: "The mode of a desktop, or whether a file is read or written; else null." }),
    process: z.string().nullable().meta({ description: "The id of the attached or watched program; else null." }),
    port: z.int().nullable().meta({ description: "The session's port to which it leads; else null." }),
    path: z.string().nullable().meta({ description: "The file or folder that is transferred or watched; else null." }),
    by: z.string().meta({ description: "Who opened it, as in the audit trail: key:<name>, ticket:<id>, …" }),
    address: z.string().nullable(),
    since: z.iso.datetime(),
  })
  .meta({ id: "Connection" });

/** The type of the event that records that a connection of this kind is closed. */
const useOf: Record<OpenConnection["kind"], Use> = {
  ...{ desktop: "desktop", port: "port", log: "log", file: "file", watch: "file" },
  ...{ process: "process", exec: "process", command: "process" },
};

const ConnectionsJson = z.object({ items: z.array(ConnectionJson) }).meta({ id: "Connections" });
type ConnectionsJson = z.infer<typeof ConnectionsJson>;

const ConnectionParams = IdParams.extend({ connection: z.guid("must be a connection's id, a UUID").toLowerCase() });

@Controller("v1/sessions/:id/connections")
@UseGuards(CallerGuard)
export class ConnectionsController {
  constructor(
    @Inject(SessionQueries) private readonly queries: SessionQueries,
    @Inject(SessionCommands) private readonly commands: SessionCommands,
    @Inject(OpenConnections) private readonly connections: OpenConnections,
    @Inject(Reads) private readonly reads: Reads,
  ) {}

  @Get()
  @Allow("read")
  @Describe({
    summary:
      "List the connections into the session that have been open for at least a second: desktops, programs, commands, files, logs, ports",
    answers: { 200: { description: "The connections, oldest first.", json: ConnectionsJson } },
  })
  async listConnections(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<ConnectionsJson> {
    found(await this.queries.find(id, caller.tenant.name), id);
    await this.reads.note(id, caller, "process", "lists the open connections");
    const open = await asked(this.connections.of(id));
    return { items: open.map(connectionJson) };
  }

  @Delete(":connection")
  @HttpCode(204)
  @Allow("write")
  @Describe({
    summary:
      "Close one of the connections: a WebSocket gets the close code 4403, an event stream a last event that contains a problem (RFC 9457)",
    answers: {
      204: { description: "The connection is closed. Its client may connect again with the same key or link." },
    },
  })
  async closeConnection(
    @Caller() { tenant, actor }: TenantCaller,
    @Param({ schema: ConnectionParams }) { id, connection }: z.infer<typeof ConnectionParams>,
  ): Promise<void> {
    found(await this.queries.find(id, tenant.name), id);
    const open = (await asked(this.connections.of(id))).find((one) => one.id === connection);
    const { kind, by } = found(open, connection, "open connection");
    await this.commands.noteUse(id, tenant.name, useOf[kind], `closes the connection of ${by}`, actor, states);
    if (await asked(this.connections.close(id, connection))) return;
    throw new Problem(503, "The process that has the connection does not answer. Please try again.", undefined, 1);
  }
}

/** Throws a 503 if Redis does not answer. */
const asked = <T>(answer: Promise<T>): Promise<T> =>
  answer.catch(() => {
    throw new Problem(503, "The open connections can't be listed at the moment. Please try again.", undefined, 1);
  });

const connectionJson = ({ id, kind, mode, process, port, path, by, address, since }: OpenConnection) => ({
  id,
  kind,
  mode,
  process,
  port: port ?? null, // processes of former versions store no port and no path
  path: path ?? null,
  by,
  address,
  since,
});
