import { debianProof } from "./debian-proof.ts";

debianProof(13, "trixie");
