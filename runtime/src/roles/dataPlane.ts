/** What carries bytes or lives long: desktops, commands, files, ports, logs and streams of events. */
import type { IncomingMessage } from "node:http";
import { PortTokens } from "../api/access/portTokens.ts";
import { dataControllers } from "../api/controllers.ts";
import { SessionPods } from "../api/sessionPods.ts";
import { SANDBOX_URL } from "../api/tokens.ts";
import { tokensOf } from "../channel/token.ts";
import { loadKubeConfig } from "../cluster/kubernetes.ts";
import { PodAccess } from "../cluster/podAccess.ts";
import { SandboxUrl } from "../domain/sandboxUrl.ts";
import { DesktopGateway } from "../gateway/desktopGateway.ts";
import { ExecGateway } from "../gateway/execGateway.ts";
import { Places } from "../gateway/places.ts";
import { PortGateway } from "../gateway/ports/portGateway.ts";
import { portGateway } from "../gateway/ports/ports.ts";
import { ProcessGateway } from "../gateway/processGateway.ts";
import { WebSockets } from "../gateway/webSockets.ts";
import { PodServices } from "../pod/podServices.ts";
import type { CoreParts, Part, PartOptions } from "./coreParts.ts";

export function dataPlane(core: CoreParts, { patienceMs, podPort }: PartOptions = {}): Part {
  const { config, redis, logger, tenants, records, metrics, access, activity, revocations, streams, peers } = core;
  const { commands, queries } = records;
  const services = new PodServices({ token: (session) => tokensOf(config.tokenKeys, session)?.session, port: podPort });
  const pods = new SessionPods(queries, commands, services);
  const places = new Places(redis, logger, patienceMs);
  const addressOf = (request: IncomingMessage) => peers.addressOf(request);
  const tokens = new PortTokens(config.tokenKeys);
  const url = config.SANDBOX_URL === undefined ? null : new SandboxUrl(config.SANDBOX_URL);
  const parts = { queries, access, activity, logger, metrics };
  const ports = url && portGateway({ ...parts, url, tokens, redis, pods, revocations, places, addressOf });
  const webSockets = new WebSockets({
    gateways: [
      new DesktopGateway({
        ...parts,
        commands,
        proxyToken: (session) => tokensOf(config.tokenKeys, session)?.proxy,
      }),
      new ProcessGateway({ access, pods, logger }),
      new ExecGateway({ access, tenants, pods, logger }),
    ],
    addressOf,
    places,
    revocations,
    connections: core.openConnections,
    logger,
  });
  metrics.figure(
    "berth_open_connections",
    "WebSockets and long answers (streams, waited commands, transfers) that this process has open.",
    [],
    (gauge) => gauge.set(webSockets.size + streams.size),
  );
  return {
    controllers: dataControllers,
    providers: [
      { provide: PodAccess, useValue: new PodAccess(loadKubeConfig()) },
      { provide: PodServices, useValue: services },
      { provide: SessionPods, useValue: pods },
      { provide: WebSockets, useValue: webSockets },
      { provide: Places, useValue: places },
      { provide: SANDBOX_URL, useValue: url },
      { provide: PortTokens, useValue: tokens },
      { provide: PortGateway, useValue: ports },
    ],
  };
}
