/** Selects the lines of Pulumi's output that a person wants to read. */

/** Matches the line of a finished resource, for example ` +  kubernetes:core/v1:Secret tenants created (0.19s)`. */
const done = /^ *[-+~]+ +\S+ .*\b(created|updated|deleted|replaced)\b( \(|\s*$)/;
/** Matches the lines of components and of the stack, which say no more than the lines of the resources inside them. */
const within = /^ *[-+~]+ +(berth:index:|pulumi:pulumi:)/;
const trouble = /\berror\b|\*\*failed\*\*/i;
/** Matches the first line of the summary. */
const summary = /^(Diagnostics|Resources|Policies):/;

/** Returns a filter for the lines that one run of Pulumi prints. The filter keeps finished resources, errors and the summary. */
export function newsFilter(): (line: string) => boolean {
  let inSummary = false;
  return (line) => {
    inSummary ||= summary.test(line);
    return inSummary ? line.trim() !== "" : trouble.test(line) || (done.test(line) && !within.test(line));
  };
}
