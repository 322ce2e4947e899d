/** Composes the control plane: sessions, tenants, usage, webhooks, tickets, and the page that shows a desktop. */
import { controlControllers, controllers } from "../api/controllers.ts";
import { openApiDocument } from "../api/openApi.ts";
import { OPEN_API, OpenApiController } from "../api/openApiController.ts";
import { PageController } from "../api/pageController.ts";
import { BACKLOG_LIMIT, PLANNING_BELL, POD_IMAGES } from "../api/tokens.ts";
import { WaitForRunning } from "../api/waitForRunning.ts";
import { podImages } from "../config/config.ts";
import { DeliveryStore } from "../store/deliveryStore.ts";
import type { CoreComponents, Plane } from "./coreComponents.ts";

export const controlPlane = ({ config, database, records, planningBell, feed, streams }: CoreComponents): Plane => ({
  controllers: [...controlControllers, OpenApiController, PageController],
  providers: [
    { provide: WaitForRunning, useValue: new WaitForRunning(records.queries, feed, streams) },
    { provide: DeliveryStore, useValue: new DeliveryStore(database) },
    { provide: POD_IMAGES, useValue: podImages(config) },
    { provide: BACKLOG_LIMIT, useValue: config.BACKLOG_LIMIT },
    { provide: PLANNING_BELL, useValue: planningBell },
    // The document describes the whole API, also the calls that a separate gateway serves.
    { provide: OPEN_API, useValue: openApiDocument(controllers) },
  ],
});
