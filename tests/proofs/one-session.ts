/** Runs a session on the stack of this machine, from its beginning to its end. */
import { end, running } from "./sessions.ts";

const { id, state } = await running("acme");
console.log(`session ${id} is ${state}`);
await end("acme", id);
