/** Which tenants file is newer: each file has a number, its generation, and sessions remember the newest that they met. */

/**
 * Whether a process may not have read yet what let something happen: its tenants file is older than the newest file by which
 * the thing was made or changed. Then the process leaves it to those that have the newer file: it neither ends the thing nor
 * lets it fail for what its own file says.
 * @param own generation of the process's file
 * @param seen generation that is stored with the thing
 */
export const isBehind = (own: number, seen: number): boolean => own < seen;
