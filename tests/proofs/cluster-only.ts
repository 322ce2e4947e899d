/** Runs `npm run up` without deploying the stack. */
import { up } from "../../local/commands/up.ts";

await up({ deploys: false });
