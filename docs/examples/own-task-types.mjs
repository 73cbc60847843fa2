/** A module of own task types, as TASK_TYPE_MODULES names it. It imports nothing of gpu-pool. */
export function taskTypes({ required, optional, kinds }) {
  return [
    {
      name: "turn_video",
      aliases: ["rotate_video"],
      meaning: "a video, turned to its side",
      needs: ["ffmpeg"],
      stuckTimeoutSec: 600,
      parameters: [
        required("video_url", kinds.VIDEO, "the video", { aliases: ["video"] }),
        optional("direction", kinds.oneOf("left", "right"), "to which side", { fallback: "right" }),
        optional("speed", kinds.number(0.25, 4), "how fast it plays", { fallback: 1 }),
      ],
      async handle({ values, inputs, ffmpeg, workDir, basename, progress, logger }) {
        const video = await inputs.fetch("video_url", values.video_url, "video");
        if (video.frames > 10_000) {
          throw Object.assign(new Error(`params.video_url: expected at most 10000 frames, got ${video.frames}`), {
            // An error of this name fails the task for good; any other is tried again.
            name: "ParamsError",
          });
        }
        const main = `${workDir}/${basename}.mp4`;
        const turned = `transpose=${values.direction === "left" ? "cclock" : "clock"},setpts=PTS/${values.speed}`;
        await ffmpeg.run(
          ["-i", video.path, "-vf", turned, "-r", String(video.fps * values.speed), "-an", "-pix_fmt", "yuv420p", main],
          (frame) => progress(Math.min(1, frame / video.frames), `frame ${frame} of ${video.frames}`),
        );
        logger.info({ frames: video.frames }, "the video is turned");
        return { kind: "files", main, model: null, engine: "ffmpeg", result: { direction: values.direction } };
      },
    },
  ];
}
