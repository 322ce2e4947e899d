/** Runs `npm run up` without deploying the stack. */
import { localCluster } from "../../local/commands/up.ts";

await localCluster();
