/** `npm run config:docs`: writes docs/config.md. */
import { writeFileSync } from "node:fs";
import { configDocs } from "./docs.ts";
writeFileSync(new URL("../../docs/config.md", import.meta.url), configDocs());
