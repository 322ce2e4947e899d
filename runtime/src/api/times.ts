/** Times that a session's pod tells; pure. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";

/** The first and last seconds, since 1970, that ISO 8601 has four digits of a year for. */
const [first, last] = [-62_135_596_800n, 253_402_300_799n];

/** The time as text. What a program in the session may have set to anything is the nearest time that has a text. */
export function timeText(at: Timestamp | undefined): string {
  const { seconds = 0n, nanos = 0 } = at ?? {};
  if (seconds < first) return timeText({ $typeName: "google.protobuf.Timestamp", seconds: first, nanos: 0 });
  if (seconds > last) return timeText({ $typeName: "google.protobuf.Timestamp", seconds: last, nanos: 0 });
  return timestampDate({ $typeName: "google.protobuf.Timestamp", seconds, nanos }).toISOString();
}
