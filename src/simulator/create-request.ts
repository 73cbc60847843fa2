import { z } from "zod";

const text = z.string().min(1);
const persistent = z.strictObject({ persistent: z.strictObject({ size: z.number().int().min(10), path: text }) });
const network = z.strictObject({ network: z.array(z.strictObject({ volumeId: text, path: text })).length(1) });

/** Body of `POST /v2/pods`, as strict as the provider: an unknown field is an error. */
export const createRequestSchema = z
  .strictObject({
    name: text,
    image: text.optional(),
    templateId: text.optional(),
    gpu: z
      .strictObject({
        id: text,
        count: z.number().int().min(1).optional(),
        allowedCudaVersions: z.array(text).optional(),
        minCudaVersion: text.optional(),
        minRamPerGpu: z.number().min(1).optional(),
        minVcpuCountPerGpu: z.number().min(1).optional(),
      })
      .refine((gpu) => !(gpu.allowedCudaVersions && gpu.minCudaVersion), {
        message: "give either allowedCudaVersions or minCudaVersion",
      })
      .optional(),
    cpu: z
      .strictObject({
        id: text,
        vcpuCount: z
          .number()
          .int()
          .min(2)
          .refine((count) => Number.isInteger(Math.log2(count)), {
            message: "must be a power of 2",
          }),
      })
      .optional(),
    cloud: z.enum(["SECURE", "COMMUNITY"]).default("SECURE"),
    dataCenterIds: z.array(text).min(1).optional(),
    disk: z.number().int().min(1).default(50),
    mounts: z.union([persistent, network]).optional(),
    env: z.record(z.string(), z.string()).default({}),
    ports: z.array(z.string().regex(/^\d{1,5}\/(http|tcp)$/)).default([]),
    args: z.string().optional(),
    cmd: z.array(z.string()).optional(),
    entrypoint: z.array(z.string()).optional(),
    registry: text.optional(),
    startSsh: z.boolean().default(false),
    startJupyter: z.boolean().default(false),
    globalNetworking: z.boolean().default(false),
  })
  .refine((body) => (body.gpu === undefined) !== (body.cpu === undefined), {
    path: ["gpu"],
    message: "give exactly one of gpu and cpu",
  })
  .refine((body) => body.image !== undefined || body.templateId !== undefined, {
    path: ["image"],
    message: "required unless templateId is given",
  })
  .refine((body) => !(body.args !== undefined && body.cmd !== undefined), {
    path: ["args"],
    message: "give either args or cmd",
  })
  .refine((body) => !(body.cpu && body.mounts && "persistent" in body.mounts), {
    path: ["mounts"],
    message: "a CPU pod takes no persistent volume",
  });

export type CreateRequest = z.infer<typeof createRequestSchema>;

export function networkMountsOf({
  mounts,
}: Pick<CreateRequest, "mounts">): readonly { volumeId: string; path: string }[] {
  return mounts && "network" in mounts ? mounts.network : [];
}
