import { debianProof } from "./debian-proof.ts";

debianProof(12, "bookworm");
