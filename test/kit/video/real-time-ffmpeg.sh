#!/bin/sh
# The ffmpeg that REAL_FFMPEG names, but it makes a video no faster than the video plays.
for argument do
  shift
  case $argument in
    *'format=yuv420p[v]') argument="${argument%'[v]'},realtime[v]" ;;
  esac
  set -- "$@" "$argument"
done
exec "$REAL_FFMPEG" "$@"
