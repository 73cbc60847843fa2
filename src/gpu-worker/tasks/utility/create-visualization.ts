import { join } from "node:path";
import type { Ffmpeg } from "../../video/ffmpeg.ts";
import { placeParts, resampledFrames, spreadFrames } from "../../video/frames/arithmetic.ts";
import { fillArea, greyFrame, pasteFrame } from "../../video/frames/format.ts";
import { pickFrames } from "../../video/retime.ts";
import { framesOf, readPicture } from "../../video/read-frames.ts";
import { encodeFrames } from "../../video/write-video.ts";
import type { Handler, InputFile, TaskRun } from "../handler.ts";
import { textValue } from "../values.ts";
import { framesOfField, shapeOf } from "./input-of.ts";
import { type Area, type Layout, layOut, layOutTimeline, type VisualizationLayout } from "./visualization-layout.ts";

const FORMAT = "yuv420p";
const BORDER_PX = 4;
const [BAR_GREY, DONE_GREY, EDGE_GREY] = [60, 220, 0];

/**
 * How a travel was made: the guiding video, the guide (if it is shown) and the result beside each other, and its pictures with a bar
 * that says where the result is.
 */
export const createVisualization: Handler = async (run) => {
  const { values, ffmpeg, progress } = run;
  const fps = Number(values["fps"]);
  const result = await fetchVideo(run, "output_video_path");
  const guiding = [await fetchVideo(run, "structure_video_path")];
  if (values["show_guidance"] === true && textValue(values, "guidance_video_path") !== null) {
    guiding.push(await fetchVideo(run, "guidance_video_path"));
  }
  const shape = shapeOf("output_video_path", result);
  const laidOut = layOut(values["layout"] as Layout, guiding.length === 1 ? 2 : 3, shape);
  const chosen = resampledFrames(result.frames, result.fps, fps);
  const frames = chosen.length;
  const streams = [
    ...guiding.map((video, index) => {
      return values["structure_video_treatment"] === "adjust"
        ? panelFrames(ffmpeg, video, spreadFrames(video.frames, frames), laidOut.panels[index])
        : clippedFrames(ffmpeg, video, fps, frames, laidOut.panels[index]);
    }),
    panelFrames(ffmpeg, result, chosen, laidOut.panels.at(-1)),
  ];
  const timeline = await drawTimeline(run, laidOut, frames);
  const target = join(run.workDir, `${run.basename}.mp4`);
  const { size } = laidOut;
  await encodeFrames(ffmpeg, target, { size, format: FORMAT, fps }, composed(laidOut, streams, timeline), (done) =>
    progress(done / frames, `frame ${done} of ${frames}`),
  );
  const notHonoured = [{ param: "segment_prompts", reason: "the visualization has no text" }];
  return { kind: "files", main: target, model: null, notHonoured };
};

type Video = InputFile & { readonly frames: number; readonly fps: number };

async function fetchVideo({ inputs, values }: TaskRun, field: string): Promise<Video> {
  const file = await inputs.fetch(field, textValue(values, field) ?? "", "video");
  return { ...file, frames: file.frames ?? 1, fps: file.fps ?? 16 };
}

function panelFrames(ffmpeg: Ffmpeg, { path }: Video, chosen: readonly number[], area: Area | undefined) {
  const size = { width: area?.width ?? 2, height: area?.height ?? 2 };
  return pickFrames(framesOf(ffmpeg, path, { size, format: FORMAT, fit: "pad" }), chosen);
}

/** The video at its own pace; again from its beginning when it is too short. */
async function* clippedFrames(ffmpeg: Ffmpeg, video: Video, fps: number, frames: number, area: Area | undefined) {
  const chosen = resampledFrames(video.frames, video.fps, fps);
  for (let left = frames; left > 0; left -= chosen.length) {
    yield* panelFrames(ffmpeg, video, chosen.slice(0, left), area);
  }
}

interface Timeline {
  /** A frame with the pictures, and nothing in the panels. */
  readonly frame: Buffer;
  /** Draws where the result is at a frame. */
  readonly mark: (into: Buffer, frame: number) => void;
}

async function drawTimeline(run: TaskRun, { size, timeline }: VisualizationLayout, frames: number): Promise<Timeline> {
  const { values, ffmpeg, inputs } = run;
  const named = values["input_image_paths"];
  const paths = Array.isArray(named) ? named.map(String) : [String(named)];
  const { cells, bar } = layOutTimeline(timeline, paths.length);
  const frame = greyFrame(FORMAT, size, 0);
  for (const [index, cell] of cells.entries()) {
    const { path } = await inputs.fetch("input_image_paths", paths[index] ?? "", "picture");
    const picture = await readPicture(ffmpeg, path, { size: cell, format: FORMAT, fit: "pad" });
    pasteFrame(FORMAT, { frame, size }, { frame: picture, size: cell }, cell);
  }
  const segments = await segmentsOf(run);
  const total = segments.at(-1)?.end ?? 1;
  fillArea(frame, size, bar, BAR_GREY);
  const xOf = (share: number) => Math.min(bar.width - 2, Math.floor((share * bar.width) / 2) * 2);

  function mark(into: Buffer, at: number): void {
    const share = (at + 1) / frames;
    fillArea(into, size, { ...bar, width: Math.max(2, xOf(share)) }, DONE_GREY);
    for (const { start } of segments.slice(1)) {
      fillArea(into, size, { ...bar, x: bar.x + xOf(start / total), width: 2 }, EDGE_GREY);
    }
    const current = segments.findLastIndex(({ start }) => start <= share * total);
    const cell = cells[Math.max(0, current)];
    if (cell !== undefined) {
      fillArea(into, size, { ...cell, height: BORDER_PX }, DONE_GREY);
    }
  }
  return { frame, mark };
}

function segmentsOf({ values }: TaskRun) {
  const lengths = values["segment_frames"] as readonly number[];
  const given = values["frame_overlaps"] as number | readonly number[] | undefined;
  const overlaps = lengths.slice(1).map((_, index) => (typeof given === "number" ? given : (given?.[index] ?? 0)));
  return framesOfField("frame_overlaps", async () => placeParts(lengths, overlaps));
}

async function* composed(
  { size, panels }: VisualizationLayout,
  streams: readonly AsyncGenerator<Buffer>[],
  { frame, mark }: Timeline,
) {
  const buffers = [Buffer.from(frame), Buffer.from(frame)] as const;
  try {
    for (let at = 0; ; at += 1) {
      const into = buffers[(at % 2) as 0 | 1];
      frame.copy(into);
      for (const [index, stream] of streams.entries()) {
        const { done, value } = await stream.next();
        if (done === true) {
          return;
        }
        const panel = panels[index] as Area;
        pasteFrame(FORMAT, { frame: into, size }, { frame: value, size: panel }, panel);
      }
      mark(into, at);
      yield into;
    }
  } finally {
    await Promise.all(streams.map((stream) => stream.return(undefined)));
  }
}
