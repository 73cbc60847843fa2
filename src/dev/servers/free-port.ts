import { connect, createServer } from "node:net";

function tryPort(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address.port : port;
      server.close(() => resolve(bound));
    });
  });
}

/**
 * A free TCP port on 127.0.0.1: `preferred` if it is free, else one that the system picks.
 * The port is not reserved: another process can take it before the caller binds it.
 * @throws when the system has no free port.
 */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred === undefined) {
    return tryPort(0);
  }
  return tryPort(preferred).catch(() => tryPort(0));
}

const START_ATTEMPTS = 5;

/**
 * Starts a server on a free port: `preferred` if it is free, else one that the system picks. If another process takes the
 * port before the server binds it, the start is repeated on another port.
 * @throws what `start` threw, when its port was not the reason or the last attempt failed too.
 */
export async function startOnFreePort<T>(
  preferred: number | undefined,
  start: (port: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort(attempt === 1 ? preferred : undefined);
    try {
      return await start(port);
    } catch (error) {
      const taken = await tryPort(port).then(
        () => false,
        () => true,
      );
      if (!taken || attempt === START_ATTEMPTS) {
        throw error;
      }
    }
  }
}

/**
 * Resolves when 127.0.0.1:`port` is free; throws, naming `purpose`, when it is in use. Without this check, a server
 * that fails to bind would seem to be up, because the other program on its port answers.
 */
export async function requireFreePort(port: number, purpose: string): Promise<void> {
  await tryPort(port).catch((error: NodeJS.ErrnoException) => {
    throw new Error(
      `port ${port} on 127.0.0.1 cannot be used for ${purpose} (${error.code}): ` +
        "end the program that listens there, or choose another port",
    );
  });
}

/** Whether a process accepts connections on 127.0.0.1:`port`. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const answer = (value: boolean) => () => {
      socket.destroy();
      resolve(value);
    };
    socket.once("connect", answer(true)).once("error", answer(false));
  });
}
