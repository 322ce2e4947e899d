/** What of Pulumi's output a person wants to read. */
/** A resource that is done, for example ` +  kubernetes:core/v1:Secret tenants created (0.19s)`. */
const done = /^ *[-+~]+ +\S+ .*\b(created|updated|deleted|replaced)\b( \(|\s*$)/;
/** Components, and the second half of a replacement, which add nothing to the lines of what is in them. */
const within = /^ *[-+~]+ +(berth:index:|pulumi:pulumi:)/;
const trouble = /\berror\b|\*\*failed\*\*/i;
/** From here on it is the summary. */
const summary = /^(Diagnostics|Resources|Policies):/;
/** A filter of lines for one run: resources that are done, errors, and the summary. */
export function newsFilter() {
    let inSummary = false;
    return (line) => {
        inSummary ||= summary.test(line);
        return inSummary ? line.trim() !== "" : trouble.test(line) || (done.test(line) && !within.test(line));
    };
}
