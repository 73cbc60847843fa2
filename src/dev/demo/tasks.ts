export interface DemoTask {
  readonly prompt: string;
  readonly frames: number;
  readonly fps: number;
  readonly width: number;
  readonly height: number;
  readonly seed: number;
}

const PROMPTS = [
  "A cat walking through a garden",
  "A sunset over mountains",
  "Rain on a tin roof at night",
  "A paper boat crossing a puddle",
  "Lanterns rising over a river",
  "A lighthouse in a storm",
];
const SIZES = [
  { frames: 24, fps: 8, width: 512, height: 512 },
  { frames: 49, fps: 16, width: 640, height: 360 },
  { frames: 81, fps: 16, width: 832, height: 480 },
  { frames: 33, fps: 12, width: 320, height: 576 },
];

/** Tasks of different sizes, the same on every run. */
export function demoTasks(count: number): DemoTask[] {
  return Array.from({ length: count }, (_, index) => ({
    prompt: PROMPTS[index % PROMPTS.length] ?? "A demo",
    ...(SIZES[index % SIZES.length] ?? SIZES[0]!),
    seed: 1000 + index,
  }));
}
