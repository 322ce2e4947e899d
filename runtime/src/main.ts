/** The runtime's one entry: `main.js <api|gateway|worker|migrate|cleanup>`. */
import "./roles/signals.ts";

// Only now, because to load the packages takes most of a start, and a signal may come meanwhile.
const { run } = await import("./roles/roles.ts");
await run(process.argv.slice(2));
