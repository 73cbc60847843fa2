import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import {
  type ClientHttp2Session,
  connect,
  constants,
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { execa } from "execa";

/** gRPC's number for a call that the server does not offer. */
const UNIMPLEMENTED = "12";
const PERMISSION_DENIED = "7";
const UNAUTHENTICATED = "16";

export interface SecureTemporal {
  readonly address: string;
  /** The variables by which the SDK connects with a client certificate. */
  readonly withCertificate: Readonly<Record<string, string>>;
  /** The variables by which it connects with the key in place of a certificate. */
  readonly withApiKey: Readonly<Record<string, string>>;
  /** Paths of the calls that were refused, as Temporal Cloud refuses them. */
  readonly refused: readonly string[];
  close(): Promise<void>;
}

interface DoorOptions {
  /** Ends of the paths of calls that are answered as unimplemented. */
  readonly notOffered?: readonly string[];
  /** Ends of the paths of calls that the caller is not permitted to make. */
  readonly forbidden?: readonly string[];
  /** Ends of the paths of calls that are answered by an empty message. */
  readonly empty?: readonly string[];
}

/** Temporal Cloud's door before a plain server: TLS, then a client certificate or an API key. */
export async function startSecureTemporal(
  server: string,
  { notOffered = [], forbidden = [], empty = [] }: DoorOptions = {},
): Promise<SecureTemporal> {
  const files = await makeCertificates();
  const apiKey = "the-key-of-a-service-account";
  const refused: string[] = [];
  const [key, cert, ca] = await Promise.all(
    [files.serverKey, files.serverCert, files.ca].map((file) => readFile(file)),
  );
  const plain = connect(`http://${server}`);
  plain.on("error", () => undefined);
  const door = createSecureServer({ key, cert, ca, requestCert: true, rejectUnauthorized: false });
  door.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    const socket = stream.session?.socket as TLSSocket | undefined;
    const isOneOf = (ends: readonly string[]) => ends.some((end) => headers[":path"]?.endsWith(end));
    if (socket?.authorized !== true && headers.authorization !== `Bearer ${apiKey}`) {
      refuse(stream, UNAUTHENTICATED, "Request unauthorized.");
    } else if (isOneOf([...notOffered, ...forbidden])) {
      refused.push(String(headers[":path"]));
      const [status, message] = isOneOf(forbidden)
        ? [PERMISSION_DENIED, "Request unauthorized."]
        : [UNIMPLEMENTED, "unknown method"];
      refuse(stream, status, message);
    } else if (isOneOf(empty)) {
      answerNothing(stream);
    } else {
      forward(plain, stream, headers);
    }
  });

  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(door.address() as AddressInfo).port}`;
  const trusted = { TEMPORAL_ADDRESS: address, TEMPORAL_TLS_SERVER_CA_CERT_PATH: files.ca };
  return {
    address,
    refused,
    withCertificate: {
      ...trusted,
      TEMPORAL_TLS_CLIENT_CERT_PATH: files.clientCert,
      TEMPORAL_TLS_CLIENT_KEY_PATH: files.clientKey,
    },
    withApiKey: { ...trusted, TEMPORAL_API_KEY: apiKey },
    async close() {
      plain.destroy();
      door.close();
      await rm(files.directory, { recursive: true, force: true });
    },
  };
}

function forward(plain: ClientHttp2Session, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const { authorization: _, ...rest } = headers;
  const onward = plain.request({ ...rest, ":scheme": "http" });
  let trailers: IncomingHttpHeaders = {};
  onward.on("response", ({ ":status": status, ...answer }) => {
    // The caller may have gone while the server answered.
    if (stream.destroyed) {
      return;
    }
    stream.respond({ ":status": status ?? 200, ...answer }, { waitForTrailers: true });
    onward.pipe(stream);
  });
  onward.on("trailers", (given) => void (trailers = given));
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.on("aborted", () => onward.close(constants.NGHTTP2_CANCEL));
  onward.on("error", () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  stream.pipe(onward);
}

function refuse(stream: ServerHttp2Stream, status: string, message: string): void {
  stream.respond(
    { ":status": 200, "content-type": "application/grpc", "grpc-status": status, "grpc-message": message },
    { endStream: true },
  );
}

function answerNothing(stream: ServerHttp2Stream): void {
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  // Not compressed, and of length zero.
  stream.end(Buffer.alloc(5));
}

/** An authority, and certificates by it for the server at 127.0.0.1 and for a client. */
async function makeCertificates() {
  const directory = await mkdtemp(join(tmpdir(), "gpu-pool-tls-"));
  const file = (name: string) => join(directory, name);
  const openssl = async (...args: string[]) => await execa("openssl", args, { cwd: directory });
  // The machine's own configuration would make each certificate an authority's.
  await writeFile(file("plain.conf"), "[req]\ndistinguished_name=dn\n[dn]\n");
  const certify = async (name: string, ...more: string[]) => {
    const subject = ["-config", "plain.conf", "-days", "2", "-subj", `/CN=${name}`];
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", `${name}.key`];
    await openssl("req", "-x509", ...subject, ...key, "-out", `${name}.pem`, ...more);
  };
  await certify("ca", "-addext", "basicConstraints=critical,CA:TRUE");
  for (const name of ["server", "client"]) {
    await certify(name, "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1");
  }
  return {
    directory,
    ca: file("ca.pem"),
    serverKey: file("server.key"),
    serverCert: file("server.pem"),
    clientKey: file("client.key"),
    clientCert: file("client.pem"),
  };
}
