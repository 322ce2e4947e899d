/** A failure that the user can solve. The message is printed without a stack trace. */
export class UserError extends Error {
  override name = "UserError";
}
