/** Composes the server that forwards requests and WebSockets to the ports of sessions. */
import type { Access } from "../../api/access/access.ts";
import type { PortTokens } from "../../api/access/portTokens.ts";
import type { SessionPods } from "../../api/sessionPods.ts";
import type { UsedLinks } from "../../queue/usedLinks.ts";
import { PortAccess } from "./portAccess.ts";
import { PortGateway, type PortGatewayOptions } from "./portGateway.ts";
import { PortLinks } from "./portLinks.ts";

export interface PortsOptions extends Omit<PortGatewayOptions, "access" | "links" | "pods"> {
  access: Pick<Access, "admitToPort" | "admitPermission">;
  tokens: PortTokens;
  usedLinks: Pick<UsedLinks, "use">;
  pods: SessionPods;
  patienceMs?: number | undefined;
}

/** The gateway that serves the ports. Its server does not listen yet. */
export function portGateway({ access, tokens, usedLinks, pods, patienceMs, ...rest }: PortsOptions): PortGateway {
  const { url } = rest;
  const portAccess = new PortAccess({ url, access, tokens, usedLinks, patienceMs });
  const links = new PortLinks({ url, access: portAccess, tokens, pods });
  return new PortGateway({ ...rest, pods, access: portAccess, links });
}
