import { render } from "ink";
import { createElement } from "react";
import type { Dashboard } from "../../../../contract/dashboard.ts";
import type { Context } from "../../../context.ts";
import { describeError } from "../../../describe-error.ts";
import { giveOrder } from "./order.ts";
import { DashboardScreen } from "./screen.ts";

export interface Live {
  readonly pool: string;
  readonly filter: string;
  readonly first: Dashboard;
  readonly read: (filter: string) => Promise<Dashboard>;
}

/** Shows the dashboard until the operator quits. */
export async function showLive(context: Context, { pool, filter, first, read }: Live): Promise<void> {
  const { output, env, stdin } = context;
  const screen = createElement(DashboardScreen, {
    output,
    filter,
    first,
    read,
    order: (given) => giveOrder(context, pool, given),
    inWords: (error) => describeError(error, env).text.split("\n").join(" "),
  });
  output.drawScreen([]);
  const streams = { stdout: output.stream as NodeJS.WriteStream, stdin: stdin as NodeJS.ReadStream };
  const instance = render(screen, { ...streams, exitOnCtrlC: false, patchConsole: false });
  const stop = () => instance.unmount();
  process.once("SIGTERM", stop).once("SIGHUP", stop);
  try {
    await instance.waitUntilExit();
  } finally {
    process.off("SIGTERM", stop).off("SIGHUP", stop);
    output.leaveScreen();
  }
}
