export type Cloud = "SECURE" | "COMMUNITY";

export interface GpuType {
  readonly id: string;
  readonly name: string;
  readonly manufacturer: "NVIDIA";
  /** GB of video memory. */
  readonly memory: number;
  readonly pool: string | null;
  readonly secure: boolean;
  readonly community: boolean;
  /** US dollars per hour for one GPU, unless the market says otherwise. */
  readonly price: { readonly secure: number; readonly community: number };
  readonly maxCount: { readonly secure: number; readonly community: number };
}

export interface DataCenter {
  readonly id: string;
  readonly name: string;
  readonly region: string;
  readonly globalNetwork: boolean;
  readonly networkVolumeTypes: readonly ("STANDARD" | "HIGH_PERFORMANCE")[];
  readonly compliance: readonly string[];
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

/** CA-MTL-1 has no network volumes. */
export const DATA_CENTERS: readonly DataCenter[] = [
  dataCenter("EU-RO-1", "Europe Romania 1", "EUROPE", ["STANDARD", "HIGH_PERFORMANCE"]),
  dataCenter("EU-SE-1", "Europe Sweden 1", "EUROPE", ["STANDARD"]),
  dataCenter("EUR-IS-1", "Europe Iceland 1", "EUROPE", ["STANDARD"]),
  dataCenter("US-KS-2", "US Kansas 2", "NORTH_AMERICA", ["STANDARD", "HIGH_PERFORMANCE"]),
  dataCenter("US-TX-3", "US Texas 3", "NORTH_AMERICA", ["STANDARD"]),
  dataCenter("CA-MTL-1", "Canada Montreal 1", "NORTH_AMERICA", []),
];

function gpu(id: string, name: string, memory: number, pool: string, secure: number, community: number): GpuType {
  return {
    id,
    name,
    manufacturer: "NVIDIA",
    memory,
    pool,
    secure: true,
    community: true,
    price: { secure, community },
    maxCount: { secure: 8, community: 4 },
  };
}

function dataCenter(
  id: string,
  name: string,
  region: string,
  networkVolumeTypes: DataCenter["networkVolumeTypes"],
): DataCenter {
  return { id, name, region, globalNetwork: true, networkVolumeTypes, compliance: [] };
}
