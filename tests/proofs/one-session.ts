/** Starts a session on the stack of this machine, waits until it runs, and ends it. */
import { end, running } from "./sessions.ts";

const { id, state } = await running("acme");
console.log(`session ${id} is ${state}`);
await end("acme", id);
