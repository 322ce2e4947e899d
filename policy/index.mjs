// Pulumi compiles the TypeScript of a policy pack with ts-node, which can't import .ts files. So the pack begins with this
// JavaScript file: from here on, Node itself runs the .ts files and strips their types.
import "./pack.ts";
