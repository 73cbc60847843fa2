import { EXIT } from "./errors.ts";
import { runProgram } from "./program.ts";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // EPIPE: the reader, such as `head`, has closed the pipe. That is no failure.
  process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.failed);
});

if (process.env["npm_command"] !== undefined) {
  const { endWithNpm } = await import("../process/end-with-npm.ts");
  endWithNpm(process.env);
}
const { env, stdin, stdout, stderr } = process;
const exitCode = await runProgram(process.argv.slice(2), { env, cwd: process.cwd(), stdin, stdout, stderr });
if (exitCode !== EXIT.ok) {
  // An explicit exit: an abandoned request would keep the process alive.
  process.exit(exitCode);
}
