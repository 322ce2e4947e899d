/** What the role `gateway` consists of: the data plane. All other calls it forwards to the API. */
import { type DynamicModule, Module } from "@nestjs/common";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { type Connections, composed, coreParts, type PartOptions } from "./coreParts.ts";
import { dataPlane } from "./dataPlane.ts";

@Module({})
class GatewayModule {}

export function gatewayModule(
  config: Config,
  connections: Connections,
  logger: Logger,
  options: PartOptions = {},
): DynamicModule {
  const core = coreParts(config, connections, logger, options);
  return composed(GatewayModule, core, [dataPlane(core, options)]);
}
