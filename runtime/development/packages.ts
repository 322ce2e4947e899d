import manifest from "../package.json" with { type: "json" };

/** The packages that the sources import. The desktop's page alone uses noVNC, and it wants a browser. */
export const packages = Object.keys(manifest.dependencies).filter((name) => name !== "@novnc/novnc");
