/** JSON schemas that describe files in the API's requests and answers. */
import { z } from "zod";
import { type FileInfo, FileKind, type WatchEvent, WatchEvent_Kind } from "../berthd/gen/berth/v1/files_pb.ts";
import { jsonObject, plainText, wholeNumber, YesOrNo } from "./http/input.ts";
import { timeText } from "./times.ts";

/** A path in a session. The pod decides whether a file at this path may be read or changed. */
export const filePath = plainText(4_096)
  .min(1, "must not be empty")
  .meta({ description: "Absolute, or relative to the workspace." });

const mode = z.string().regex(/^[01]?[0-7]{3}$/, "must be permission bits in octal, e.g. 0644");
const parents = (what: string) => `Whether missing parent folders of ${what} are created.`;

export const PathQuery = z.strictObject({ path: filePath });
export type PathQuery = z.infer<typeof PathQuery>;

export const WriteQuery = z.strictObject({
  path: filePath,
  mode: mode.optional().meta({ description: "Default: the mode of the replaced file, else 0644." }),
  parents: YesOrNo.default("false").meta({ description: parents("the file") }),
});
export type WriteQuery = z.infer<typeof WriteQuery>;

export const RemoveQuery = z.strictObject({
  path: filePath,
  recursive: YesOrNo.default("false").meta({ description: "Whether a folder is removed with its content." }),
});
export type RemoveQuery = z.infer<typeof RemoveQuery>;

export const InfoQuery = z.strictObject({
  path: filePath,
  follow: YesOrNo.default("true").meta({ description: "Whether a symlink is followed to its target." }),
});
export type InfoQuery = z.infer<typeof InfoQuery>;

export const ListQuery = z.strictObject({
  path: filePath.default("."),
  depth: wholeNumber(1, 100, 1),
  limit: wholeNumber(1, 1_000, 1_000),
  cursor: z
    .string()
    .regex(/^[\w-]{1,8192}$/, "must be a nextCursor of an earlier answer")
    .optional(),
});
export type ListQuery = z.infer<typeof ListQuery>;

export const WatchQuery = z.strictObject({
  path: filePath.default("."),
  recursive: YesOrNo.default("false").meta({
    description: "Whether folders in the folder are watched too, including new ones.",
  }),
});
export type WatchQuery = z.infer<typeof WatchQuery>;

export const FolderBody = jsonObject({
  path: filePath,
  mode: mode.optional().meta({ description: "Default: 0755." }),
  parents: z
    .boolean("must be true or false")
    .default(false)
    .meta({ description: `${parents("the folder")} If true, an existing folder is no error.` }),
}).meta({ id: "NewFolder" });
export type FolderBody = z.infer<typeof FolderBody>;

export const MoveBody = jsonObject({
  from: filePath,
  to: filePath,
  replace: z
    .boolean("must be true or false")
    .default(false)
    .meta({ description: "Whether an existing file is replaced." }),
}).meta({ id: "Move" });
export type MoveBody = z.infer<typeof MoveBody>;

export const LinkBody = jsonObject({
  path: filePath,
  access: z
    .enum(["read", "write"], "must be read or write")
    .meta({ description: "What everybody who has the link may do with the file." }),
  lifetimeSeconds: z
    .int("must be a whole number of seconds")
    .min(10, "must be at least 10")
    .max(86_400, "must be at most 86400, a day")
    .default(300),
}).meta({ id: "NewFileLink" });
export type LinkBody = z.infer<typeof LinkBody>;

export const LinkJson = z
  .object({
    id: z.uuid().meta({ description: "The id by which the link is listed and revoked." }),
    url: z.url(),
    expiresAt: z.iso.datetime(),
  })
  .meta({ id: "FileLink" });

export const FileJson = z
  .object({
    path: z.string().meta({ description: "Absolute. Bytes that are not UTF-8 are shown as U+FFFD." }),
    kind: z.enum(["file", "folder", "symlink", "other"]),
    size: z.int().nullable().meta({ description: "The size in bytes; null if it is not a file." }),
    mode: z.string().meta({ description: "The permission bits in octal, e.g. 0644." }),
    modifiedAt: z.iso.datetime(),
    etag: z
      .string()
      .nullable()
      .meta({ description: "Changes when the file's bytes change; null if it is not a file." }),
    target: z.string().nullable().meta({ description: "The target of a symlink; null if it is not a symlink." }),
  })
  .meta({ id: "File" });
export type FileJson = z.infer<typeof FileJson>;

export const FilesJson = z
  .object({ items: z.array(FileJson), nextCursor: z.string().nullable() })
  .meta({ id: "Files" });

export const ArchiveJson = z.object({ files: z.int(), bytes: z.int() }).meta({ id: "Unpacked" });

export const WatchEventJson = z
  .object({
    type: z.enum(["ready", "created", "modified", "removed", "attributes", "overflow"]).meta({
      description:
        "ready: changes are reported from now on; modified: a writer has closed the file; overflow: changes were lost, list again.",
    }),
    path: z.string(),
  })
  .meta({ id: "FileEvent" });
export type WatchEventJson = z.infer<typeof WatchEventJson>;

export const modeBits = (mode: string) => Number.parseInt(mode, 8);

const kinds = {
  [FileKind.UNSPECIFIED]: "other",
  [FileKind.FILE]: "file",
  [FileKind.FOLDER]: "folder",
  [FileKind.SYMLINK]: "symlink",
  [FileKind.OTHER]: "other",
} as const;

export function fileJson(info: FileInfo | undefined): FileJson {
  if (info === undefined) throw new Error("berthd's answer lacks the description of the file");
  const { path, kind, size, mode, modifiedAt, etag, target } = info;
  return {
    path,
    kind: kinds[kind],
    size: kind === FileKind.FILE ? Number(size) : null,
    mode: mode.toString(8).padStart(4, "0"),
    modifiedAt: timeText(modifiedAt),
    etag: etag === "" ? null : etag,
    target: kind === FileKind.SYMLINK ? target : null,
  };
}

const changes: Record<WatchEvent_Kind, WatchEventJson["type"] | undefined> = {
  [WatchEvent_Kind.UNSPECIFIED]: undefined,
  [WatchEvent_Kind.READY]: "ready",
  [WatchEvent_Kind.CREATED]: "created",
  [WatchEvent_Kind.MODIFIED]: "modified",
  [WatchEvent_Kind.REMOVED]: "removed",
  [WatchEvent_Kind.ATTRIBUTES]: "attributes",
  [WatchEvent_Kind.OVERFLOW]: "overflow",
  [WatchEvent_Kind.KEEP_ALIVE]: undefined,
};

/** The change in the form in which users get it; null for a heartbeat of the watch. */
export function watchEventJson({ kind, path }: WatchEvent): WatchEventJson | null {
  const type = changes[kind];
  return type === undefined ? null : { type, path };
}
