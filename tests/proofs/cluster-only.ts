/** `npm run up` without its stack. */
import { localCluster } from "../../local/commands/up.ts";

await localCluster();
