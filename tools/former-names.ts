/**
 * `pulumi stack export | npx node tools/former-names.ts | pulumi stack import`: gives the resources of a stack the names
 * that older versions know, before an older version's `pulumi up`. docs/upgrading.md says when this command is needed.
 */
import { text } from "node:stream/consumers";
import { formerName } from "../infra/kubernetes/former-names.ts";

/** The output of `pulumi stack export`. */
interface Export {
  deployment?: { resources?: { urn: string; type: string }[] };
}

/**
 * The same state with the former names, in the resources' URNs and in all references to them.
 * @throws Error if another resource already has a former name
 */
export function withFormerNames<State extends Export>(state: State): State {
  const resources = state.deployment?.resources ?? [];
  const known = new Set(resources.map(({ urn }) => urn));
  const former = new Map(
    resources.flatMap(({ urn, type }) => {
      const [name = "", ...rest] = urn.split("::").reverse();
      const before = formerName(type, name);
      return before === undefined ? [] : [[urn, [before, ...rest].reverse().join("::")] as const];
    }),
  );
  for (const [urn, before] of former)
    if (known.has(before))
      throw new Error(
        `The stack has both ${urn} and ${before}, which are the same object in the cluster, because an older version ran without this command. Remove the second one from the state: \`pulumi state delete '${before}'\` leaves the object in the cluster. Then run this command again.`,
      );
  return JSON.parse(JSON.stringify(state), (_, value) => (typeof value === "string" && former.get(value)) || value);
}

if (import.meta.main) {
  try {
    console.log(JSON.stringify(withFormerNames(JSON.parse(await text(process.stdin))), null, 2));
  } catch (error) {
    // `pulumi stack import` fails and changes nothing if it gets no input.
    console.error(`berth: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
