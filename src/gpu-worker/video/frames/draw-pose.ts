import type { Size } from "./format.ts";
import type { Keypoint, Pose } from "./poses.ts";

/** Pairs of points that a limb joins, of the eighteen that OpenPose finds. */
const LIMBS: readonly (readonly [number, number])[] = [
  [1, 2],
  [1, 5],
  [2, 3],
  [3, 4],
  [5, 6],
  [6, 7],
  [1, 8],
  [8, 9],
  [9, 10],
  [1, 11],
  [11, 12],
  [12, 13],
  [1, 0],
  [0, 14],
  [14, 16],
  [0, 15],
  [15, 17],
];
export const OPENPOSE_POINTS = 18;
const LEAST_CONFIDENCE = 0.1;

/** Draws people into a frame in rgb24, as pose models draw them: each limb and each point in a colour of its own. */
export function drawPoses(frame: Uint8Array, size: Size, people: readonly Pose[]): void {
  const radius = Math.max(1, Math.round(Math.min(size.width, size.height) / 100));
  for (const pose of people) {
    const limbs = pose.length === OPENPOSE_POINTS ? LIMBS : [];
    for (const [index, [from, to]] of limbs.entries()) {
      const [first, last] = [pose[from], pose[to]];
      if (isSeen(first) && isSeen(last)) {
        drawLine(frame, size, first, last, radius, colourOf(index, limbs.length));
      }
    }
    for (const [index, point] of pose.entries()) {
      if (isSeen(point)) {
        drawDisc(frame, size, point.x * size.width, point.y * size.height, radius + 1, colourOf(index, pose.length));
      }
    }
  }
}

function isSeen(point: Keypoint | undefined): point is Keypoint {
  return point !== undefined && point.confidence >= LEAST_CONFIDENCE;
}

/** Colours once around the circle. */
function colourOf(index: number, count: number): readonly [number, number, number] {
  const at = (index / count) * 6;
  const channel = (shift: number) => {
    const distance = Math.abs(((at + shift) % 6) - 3);
    return Math.round(255 * Math.min(1, Math.max(0, distance - 1)));
  };
  return [channel(0), channel(4), channel(2)];
}

function drawLine(
  frame: Uint8Array,
  size: Size,
  first: Keypoint,
  last: Keypoint,
  radius: number,
  colour: readonly [number, number, number],
): void {
  const [x, y] = [first.x * size.width, first.y * size.height];
  const [dx, dy] = [last.x * size.width - x, last.y * size.height - y];
  const steps = Math.max(1, Math.ceil(Math.hypot(dx, dy)));
  for (let step = 0; step <= steps; step += 1) {
    drawDisc(frame, size, x + (dx * step) / steps, y + (dy * step) / steps, radius, colour);
  }
}

function drawDisc(
  frame: Uint8Array,
  { width, height }: Size,
  x: number,
  y: number,
  radius: number,
  colour: readonly [number, number, number],
): void {
  const [left, right] = [Math.max(0, Math.ceil(x - radius)), Math.min(width - 1, Math.floor(x + radius))];
  const [top, bottom] = [Math.max(0, Math.ceil(y - radius)), Math.min(height - 1, Math.floor(y + radius))];
  for (let row = top; row <= bottom; row += 1) {
    for (let column = left; column <= right; column += 1) {
      if ((column - x) ** 2 + (row - y) ** 2 <= radius ** 2) {
        frame.set(colour, (row * width + column) * 3);
      }
    }
  }
}
