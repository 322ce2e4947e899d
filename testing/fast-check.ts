/**
 * Property tests import fast-check from here. Every run of the gate tries the same values, so that a change is never refused
 * because of a fault elsewhere that only now is found. The proofs' workflow tries other values each night.
 */
import fc from "fast-check";

/** PROPERTY_SEED, an integer, chooses other values. A failed test prints the seed that it used. Default: 0. */
const seed = Number(process.env.PROPERTY_SEED ?? 0);
if (!Number.isInteger(seed)) throw new Error(`PROPERTY_SEED must be an integer, not ${process.env.PROPERTY_SEED}`);

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });

export default fc;
