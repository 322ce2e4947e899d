/**
 * Each tenants file has a number, its generation. Each session stores the highest generation with which a process has
 * created or changed the session.
 */

/**
 * Whether this process has an older tenants file than the one that allowed the session's creation or last change. Such a
 * process must not judge the session by its own file: it neither ends the session nor lets it fail. A process that has the
 * newer file decides that.
 * @param own the generation of this process's file
 * @param stored the generation that is stored with the session
 */
export const isBehind = (own: number, stored: number): boolean => own < stored;
