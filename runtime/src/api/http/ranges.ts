/** The header Range (RFC 9110, section 14), for one range of bytes; pure. */

export interface Range {
  /** The positions of the first and the last byte. */
  first: number;
  last: number;
}

/**
 * The range that is wanted of so many bytes; undefined if it is to be all of them: the header is of another kind, names
 * several ranges, or is none. `"unsatisfiable"` if nothing of it is there.
 */
export function rangeOf(header: string | undefined, size: number): Range | "unsatisfiable" | undefined {
  const [, from, to] = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(header?.trim() ?? "") ?? [];
  if (from === undefined || to === undefined || from + to === "") return undefined;
  if (from === "") {
    const count = Math.min(Number(to), size);
    return count === 0 ? "unsatisfiable" : { first: size - count, last: size - 1 };
  }
  const first = Number(from);
  if (to !== "" && Number(to) < first) return undefined;
  if (first >= size) return "unsatisfiable";
  return { first, last: to === "" ? size - 1 : Math.min(Number(to), size - 1) };
}

/** Whether a header like If-None-Match names the ETag, or any. `W/` makes no difference in that. */
export function namesEtag(header: string | undefined, etag: string): boolean {
  const names = header?.split(",").map((name) => name.trim().replace(/^W\//, "")) ?? [];
  return names.includes("*") || names.includes(etag);
}

/** `attachment` with the name, whatever characters it has (RFC 6266). */
export function attachment(name: string): string {
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename*=UTF-8''${encoded}`;
}
