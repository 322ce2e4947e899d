/** The controllers of /v1. */
import type { Type } from "@nestjs/common";
import { DesktopController } from "../desktop/desktopController.ts";
import { EventsController } from "../events/eventsController.ts";
import { LogsController } from "../logs/logsController.ts";
import { SessionsController } from "../sessions/sessionsController.ts";
import { TenantsController } from "../tenants/tenantsController.ts";
import { UsageController } from "../usage/usageController.ts";
import { WebhooksController } from "../webhooks/webhooksController.ts";

export const controllers: Type[] = [
  SessionsController,
  EventsController,
  LogsController,
  DesktopController,
  UsageController,
  TenantsController,
  WebhooksController,
];
