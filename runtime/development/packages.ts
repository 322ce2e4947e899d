import manifest from "../package.json" with { type: "json" };

/**
 * The packages that the sources import, without noVNC, which only the desktop's page uses and which needs a browser.
 */
export const packages = Object.keys(manifest.dependencies).filter((name) => name !== "@novnc/novnc");
