/** The file that a parameter names cannot be used, and no later try would change that. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

/** The file could not be had now. Another try, here or on another worker, may succeed. */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}
