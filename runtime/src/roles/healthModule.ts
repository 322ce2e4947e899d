/** The three health endpoints of a role. */
import type { DynamicModule } from "@nestjs/common";
import { Module } from "@nestjs/common";
import { TerminusModule } from "@nestjs/terminus";
import { HealthController } from "../api/healthController.ts";
import { Health } from "../telemetry/health.ts";

@Module({})
class HealthModule {}

export function healthModule(health: Health): DynamicModule {
  return {
    module: HealthModule,
    // Failed checks are not logged: the answer says what fails, and Kubernetes records a failed probe in the pod's events.
    imports: [TerminusModule.forRoot({ logger: false })],
    controllers: [HealthController],
    providers: [{ provide: Health, useValue: health }],
    exports: [Health],
  };
}
