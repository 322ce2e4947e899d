/** Composes the role `gateway`: the data plane. The gateway forwards all other calls to the API. */
import { type DynamicModule, Module } from "@nestjs/common";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { type Connections, composed, coreComponents, type PlaneOptions } from "./coreComponents.ts";
import { dataPlane } from "./dataPlane.ts";

@Module({})
class GatewayModule {}

export function gatewayModule(
  config: Config,
  connections: Connections,
  logger: Logger,
  options: PlaneOptions = {},
): DynamicModule {
  const core = coreComponents(config, connections, logger, options);
  return composed(GatewayModule, core, [dataPlane(core, options)]);
}
