import { describeProcess, processStartTime } from "./process-identity.ts";

const LOOK_MS = 1_000;
/** npm runs a script in a shell, which stays between npm and this process or is replaced by it. */
const NEAR_ANCESTORS = 2;
const NPM = /^(npm|npx)\b|\b(npm|npx)-cli\.js\b/;

/**
 * Sends this process SIGTERM once the npm that runs it (`npx gpu-pool`, `npm run`) is gone. npm passes Ctrl-C and SIGTERM
 * on, but a killed npm would leave everything running that it had started. Does nothing outside npm.
 */
export function endWithNpm(env: NodeJS.ProcessEnv): void {
  const npm = env["npm_command"] === undefined ? null : findNpm();
  const startTime = npm === null ? null : processStartTime(npm);
  if (npm === null || startTime === null) {
    return;
  }
  const timer = setInterval(() => {
    if (processStartTime(npm) !== startTime) {
      clearInterval(timer);
      process.kill(process.pid, "SIGTERM");
    }
  }, LOOK_MS);
  timer.unref();
}

function findNpm(): number | null {
  let pid = process.ppid;
  for (let step = 0; step < NEAR_ANCESTORS; step += 1) {
    const found = describeProcess(pid);
    if (found === null) {
      return null;
    }
    if (NPM.test(found.command)) {
      return pid;
    }
    pid = found.parent;
  }
  return null;
}
