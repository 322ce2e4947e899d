/** Headers of files (RFC 9110 and RFC 6266). Pure: no I/O. */

/**
 * The header Range if it names one range of bytes. Undefined if the request has no such header, or if the header names several
 * ranges or has another form. Then the whole file must be sent.
 */
export function oneRange(header = ""): string | undefined {
  const [range, from, to] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim().toLowerCase()) ?? [];
  if (from === undefined || to === undefined) return undefined;
  const isRange = from === "" ? Number(to) > 0 : to === "" || Number(from) <= Number(to);
  return isRange ? range : undefined;
}

/** The header Content-Disposition for a download with this file name, which may contain any characters (RFC 6266). */
export function attachment(name: string): string {
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename*=UTF-8''${encoded}`;
}
