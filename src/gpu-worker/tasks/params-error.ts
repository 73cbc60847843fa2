/** The task's `params` or type are wrong: no attempt can succeed. */
export class ParamsError extends Error {
  override readonly name = "ParamsError";
}
