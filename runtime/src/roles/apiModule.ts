/** What the role `api` consists of: the control plane, and the data plane where no gateway of its own has it. */
import { type DynamicModule, Module } from "@nestjs/common";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { UpgradeForwarder } from "../gateway/upgradeForwarder.ts";
import { controlPlane } from "./controlPlane.ts";
import { type Connections, type CoreParts, composed, coreParts, type Part, type PartOptions } from "./coreParts.ts";
import { dataPlane } from "./dataPlane.ts";

@Module({})
class ApiModule {}

export function apiModule(
  config: Config,
  connections: Connections,
  logger: Logger,
  options: PartOptions = {},
): DynamicModule {
  const core = coreParts(config, connections, logger, options);
  const { GATEWAY_URL: gateway } = config;
  const data = gateway === undefined ? dataPlane(core, options) : dataPlaneElsewhere(core, gateway);
  return composed(ApiModule, core, [controlPlane(core), data]);
}

const dataPlaneElsewhere = ({ peers, logger }: CoreParts, target: string): Part => ({
  controllers: [],
  providers: [{ provide: UpgradeForwarder, useValue: new UpgradeForwarder({ target, peers, logger }) }],
});
