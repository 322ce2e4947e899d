/** A failure that the user can act on; printed as one sentence, without a stack. */
export class UserError extends Error {
  override name = "UserError";
}
