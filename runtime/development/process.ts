/** A process that loads the runtime's packages, waits for the message of main.ts, and then runs the runtime. */
import { open } from "node:inspector";
import { packages } from "./packages.ts";

process.once("disconnect", () => process.exit(1));
const runMessage = new Promise((resolve) => process.once("message", resolve));
await Promise.all(packages.map((name) => import(name)));
await runMessage;
const port = process.env.INSPECT_PORT;
if (port) open(Number(port), "127.0.0.1");
await import(new URL("../dist/main.js", import.meta.url).href);
