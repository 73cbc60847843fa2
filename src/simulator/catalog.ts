export interface GpuType {
  readonly id: string;
  readonly name: string;
  /** GB of video memory. */
  readonly memory: number;
  readonly pool: string | null;
  readonly secure: boolean;
  readonly community: boolean;
  /** US dollars per hour for one GPU. */
  readonly price: { readonly secure: number; readonly community: number };
  readonly maxCount: { readonly secure: number; readonly community: number };
}

export const GPU_TYPES: readonly GpuType[] = [
  gpu("NVIDIA GeForce RTX 4090", "RTX 4090", 24, "ADA_24", 0.69, 0.34),
  gpu("NVIDIA GeForce RTX 5090", "RTX 5090", 32, "ADA_32_PRO", 0.94, 0.69),
  gpu("NVIDIA GeForce RTX 3090", "RTX 3090", 24, "AMPERE_24", 0.46, 0.22),
  gpu("NVIDIA RTX A6000", "RTX A6000", 48, "AMPERE_48", 0.49, 0.33),
  gpu("NVIDIA L40S", "L40S", 48, "ADA_48_PRO", 0.86, 0.79),
  gpu("NVIDIA A100 80GB PCIe", "A100 PCIe", 80, "AMPERE_80", 1.64, 1.19),
  gpu("NVIDIA H100 80GB HBM3", "H100 SXM", 80, "HOPPER_80", 2.99, 2.69),
];

export const DATA_CENTERS = ["EU-RO-1", "EU-SE-1", "EUR-IS-1", "US-KS-2", "US-TX-3", "CA-MTL-1"] as const;

const CPU_USD_PER_VCPU_HOUR = 0.03;

/** Hourly price of a pod, or undefined when the GPU type is not in the catalog. */
export function hourlyPrice(request: {
  readonly gpu?: { readonly id: string; readonly count?: number | undefined } | undefined;
  readonly cpu?: { readonly vcpuCount: number } | undefined;
  readonly cloud: "SECURE" | "COMMUNITY";
}): number | undefined {
  if (request.cpu) {
    return request.cpu.vcpuCount * CPU_USD_PER_VCPU_HOUR;
  }
  const type = GPU_TYPES.find((candidate) => candidate.id === request.gpu?.id);
  return type && type.price[request.cloud === "SECURE" ? "secure" : "community"] * (request.gpu?.count ?? 1);
}

function gpu(id: string, name: string, memory: number, pool: string, secure: number, community: number): GpuType {
  return {
    id,
    name,
    memory,
    pool,
    secure: true,
    community: true,
    price: { secure, community },
    maxCount: { secure: 8, community: 4 },
  };
}
