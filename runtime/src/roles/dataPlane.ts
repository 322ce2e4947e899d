/**
 * Composes the data plane, which carries bytes or long-lived connections: desktops, commands, files, ports, logs and
 * event streams.
 */
import type { IncomingMessage } from "node:http";
import { PortTokens } from "../api/access/portTokens.ts";
import { dataControllers } from "../api/controllers.ts";
import { SessionHistory } from "../api/sessionHistory.ts";
import { SessionPods } from "../api/sessionPods.ts";
import { SANDBOX_URL } from "../api/tokens.ts";
import { PodServices } from "../berthd/podServices.ts";
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
import { PlaceLeases } from "../queue/placeLeases.ts";
import { UsedLinks } from "../queue/usedLinks.ts";
import type { CoreComponents, Plane, PlaneOptions } from "./coreComponents.ts";

export function dataPlane(core: CoreComponents, { patienceMs, podPort }: PlaneOptions = {}): Plane {
  const { config, redis, logger, tenants, records, metrics, access, activity, revocations, streams, peers, reads } =
    core;
  const { commands, queries } = records;
  const services = new PodServices({ tokens: (session) => tokensOf(config.tokenKeys, session), port: podPort });
  const pods = new SessionPods(queries, commands, services, reads);
  const places = new Places(new PlaceLeases(redis), logger, patienceMs);
  const usedLinks = new UsedLinks(redis);
  const addressOf = (request: IncomingMessage) => peers.addressOf(request);
  const tokens = new PortTokens(config.tokenKeys);
  const url = config.SANDBOX_URL === undefined ? null : new SandboxUrl(config.SANDBOX_URL);
  const history =
    config.PROMETHEUS_URL === undefined ? null : new SessionHistory(config.PROMETHEUS_URL, places, logger);
  const shared = { queries, access, activity, logger, metrics };
  const connections = core.openConnections;
  const ports =
    url &&
    portGateway({
      ...shared,
      url,
      tokens,
      usedLinks,
      pods,
      reads,
      revocations,
      places,
      connections,
      addressOf,
      patienceMs,
    });
  const webSockets = new WebSockets({
    sessionSockets: [
      new DesktopGateway({
        ...shared,
        commands,
        proxyToken: (session) => tokensOf(config.tokenKeys, session)?.proxy,
      }),
      new ProcessGateway({ access, pods, logger }),
      new ExecGateway({ access, tenants, pods, logger }),
    ],
    addressOf,
    places,
    revocations,
    connections,
    logger,
  });
  metrics.gauge(
    "berth_open_connections",
    "Open WebSockets of this process, its HTTP answers that stay open (streams, commands that the caller waits for, transfers), and open HTTP requests to sessions' ports.",
    [],
    (gauge) => gauge.set(webSockets.size + streams.size + (ports?.size ?? 0)),
  );
  return {
    controllers: dataControllers,
    providers: [
      { provide: PodAccess, useValue: new PodAccess(loadKubeConfig()) },
      { provide: PodServices, useValue: services },
      { provide: SessionPods, useValue: pods },
      { provide: SessionHistory, useValue: history },
      { provide: WebSockets, useValue: webSockets },
      { provide: Places, useValue: places },
      { provide: SANDBOX_URL, useValue: url },
      { provide: PortTokens, useValue: tokens },
      { provide: PortGateway, useValue: ports },
    ],
  };
}
