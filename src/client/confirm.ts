import { agrees } from "./ask.ts";
import type { Context } from "./context.ts";
import { ClientError, EXIT } from "./errors.ts";

/**
 * Asks before something costs money or cannot be taken back. Only a yes goes on.
 * @param yes the caller has agreed already
 * @throws ClientError where the answer is no, or nobody can be asked
 */
export async function confirm(context: Context, question: string, yes: boolean): Promise<void> {
  if (yes) {
    return;
  }
  if (context.stdin.isTTY !== true || !context.output.errIsTerminal) {
    throw new ClientError(EXIT.usage, `nobody can be asked here: ${question}`, "Say --yes to agree.");
  }
  if (!(await agrees(context, question))) {
    throw new ClientError(EXIT.failed, "not agreed: nothing was done", null);
  }
}
