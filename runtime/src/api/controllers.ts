/**
 * The controllers of /v1, by their plane: one for each resource. Only `v1/sessions/:id/files` has two, because one file would be
 * longer than 300 lines: FilesController reads, writes and removes, and FolderController lists, describes, creates, moves and
 * watches.
 */
import type { Type } from "@nestjs/common";
import { ConnectionsController } from "./connectionsController.ts";
import { DesktopController } from "./desktopController.ts";
import { EventsController } from "./eventsController.ts";
import { FileLinksController } from "./fileLinksController.ts";
import { FilesController } from "./filesController.ts";
import { FolderController } from "./folderController.ts";
import { GrantsController } from "./grantsController.ts";
import { LogsController } from "./logsController.ts";
import { PortsController } from "./portsController.ts";
import { ProcessesController } from "./processesController.ts";
import { SessionMetricsController } from "./sessionMetricsController.ts";
import { SessionsController } from "./sessionsController.ts";
import { TenantsController } from "./tenantsController.ts";
import { UsageController } from "./usageController.ts";
import { WebhooksController } from "./webhooksController.ts";

/** The control plane: it decides and stores. */
export const controlControllers: Type[] = [
  SessionsController,
  DesktopController,
  GrantsController,
  ConnectionsController,
  UsageController,
  TenantsController,
  WebhooksController,
];

/** The data plane: it transfers bytes between users and pods, or answers for a long time. */
export const dataControllers: Type[] = [
  EventsController,
  LogsController,
  ProcessesController,
  FilesController,
  FolderController,
  FileLinksController,
  PortsController,
  SessionMetricsController,
];

export const controllers: Type[] = [...controlControllers, ...dataControllers];
