/** The only entry point of the runtime: `main.js <api|gateway|worker|migrate|cleanup>`. */
import "./roles/signals.ts";

// roles.ts is imported only after the signal handler is set, because loading the packages takes most of a start, and a signal
// may come during that time.
const { run } = await import("./roles/roles.ts");
await run(process.argv.slice(2));
