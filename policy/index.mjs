// Pulumi compiles a pack's TypeScript by ts-node, which knows no imports of .ts files; from here Node strips the types itself.
import "./pack.ts";
