import { shellLine } from "../pulumi/stack.ts";
/** Prints the line that makes a shell know pulumi, kubectl and the local cluster. */
export function printEnvironment() {
    console.log(shellLine());
}
