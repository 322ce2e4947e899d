/** The query of the WebSocket `exec`. The gateway checks it, and the API's description shows it. */
import { z } from "zod";
import { plainText, several, YesOrNo } from "./http/input.ts";

export const ExecQuery = z.strictObject({
  command: several(plainText(4096), 1, 64).meta({ description: "The command and its arguments, in order." }),
  tty: YesOrNo.default("false").meta({ description: "Whether the command gets a terminal." }),
});
