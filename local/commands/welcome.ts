/** The text that `npm run up` prints at its end. */
import type { StackOutputs } from "../pulumi/stack.ts";

/**
 * Prints the API's address, acme's key, and three commands: one starts a session, one opens the session's desktop in a browser,
 * and one makes pulumi and kubectl available in the shell.
 */
export function welcome({ apiUrl, tenantKeys }: StackOutputs, seconds: number): void {
  const key = tenantKeys.acme?.default;
  const auth = `-H 'Authorization: Bearer ${key}'`;
  console.log(`
Berth is up (${seconds.toFixed(0)} s).

  API            ${apiUrl}
  Key of acme    ${key}

Start a session:

  ID=$(curl -s ${apiUrl}/v1/sessions ${auth} --json '{"tier":"small"}' | grep -o '"id":"[^"]*' | cut -d'"' -f4); echo $ID

Open its desktop in a browser:

  xdg-open "$(curl -s -X POST ${apiUrl}/v1/sessions/$ID/desktop-tickets ${auth} | grep -o 'http[^"]*')"
pulumi and kubectl in this shell: eval "$(npm run -s env)"`);
}
