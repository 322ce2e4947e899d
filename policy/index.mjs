// Pulumi compiles the TypeScript of a policy pack with ts-node, which can't import .ts files. From this file on, Node strips the types.
import "./pack.ts";
