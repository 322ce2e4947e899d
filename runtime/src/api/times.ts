/** Times that a session's pod reports. Pure: no I/O. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";

/** The seconds since 1970 that begin and end the range of four-digit years in ISO 8601. */
const [first, last] = [-62_135_596_800n, 253_402_300_799n];

/**
 * The time as text. A program in the session can set a file's time to anything, so a time outside the range is replaced with
 * the nearest time in the range.
 */
export function timeText(at: Timestamp | undefined): string {
  const { seconds = 0n, nanos = 0 } = at ?? {};
  if (seconds < first) return timeText({ $typeName: "google.protobuf.Timestamp", seconds: first, nanos: 0 });
  if (seconds > last) return timeText({ $typeName: "google.protobuf.Timestamp", seconds: last, nanos: 0 });
  return timestampDate({ $typeName: "google.protobuf.Timestamp", seconds, nanos }).toISOString();
}
