/** Composes the role `api`: the control plane, and also the data plane if there is no separate gateway. */
import { type DynamicModule, Module } from "@nestjs/common";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { UpgradeForwarder } from "../gateway/upgradeForwarder.ts";
import { controlPlane } from "./controlPlane.ts";
import {
  type Connections,
  type CoreComponents,
  composed,
  coreComponents,
  type Plane,
  type PlaneOptions,
} from "./coreComponents.ts";
import { dataPlane } from "./dataPlane.ts";

@Module({})
class ApiModule {}

export function apiModule(
  config: Config,
  connections: Connections,
  logger: Logger,
  options: PlaneOptions = {},
): DynamicModule {
  const core = coreComponents(config, connections, logger, options);
  const { GATEWAY_URL: gateway } = config;
  const data = gateway === undefined ? dataPlane(core, options) : dataPlaneElsewhere(core, gateway);
  return composed(ApiModule, core, [controlPlane(core), data]);
}

const dataPlaneElsewhere = ({ peers, logger }: CoreComponents, target: string): Plane => ({
  controllers: [],
  providers: [{ provide: UpgradeForwarder, useValue: new UpgradeForwarder({ target, peers, logger }) }],
});
