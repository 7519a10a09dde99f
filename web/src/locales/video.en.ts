// The words of wall and replay: seats, faults of the picture, moving cameras.

import type zh from "./video.zh-CN";

const en: typeof zh = {
  seat: {
    title: "Seat", occupied: "occupied", empty: "empty", unknown: "unknown", for: "for {span}", at_window: "Seat {seat}",
    why: {
      starting: "only just begun to look", no_picture: "no picture", dark: "too dark", not_learnt: "the empty seat is not learnt yet", other_light: "the light changed; to be learnt again", left_behind: "something may have been left on the seat", unsure: "cannot tell",
      black: "the picture is black", frozen: "the picture is frozen", blocked: "the lens is blocked", out_of_focus: "the picture is out of focus", moved: "the camera was moved", hall_offline: "the hall is offline",
    },
  },
  fault: { title: "Faulty picture", black: "Black", frozen: "Frozen", blocked: "Blocked", out_of_focus: "Out of focus", moved: "Moved" },
  copy: { marked: "Watermarked copy", hint: "Coded anew without sound, with your name and the time in every picture; the original stays as it is. It takes a while, and is written down." },
  kept: {
    away_since: "The hall has been offline since {time}", away_never: "The hall is offline", away_for: "for {age}", here: "The centre has {clips} clips and {stills} stills", from_centre: "kept at the centre", still: "Still: {what} {time}",
    absent: { in_hall: "This stretch lies in the hall alone, and the hall is offline", dropped: "The centre kept it once; its time is over, and the hall is offline" },
    hint: "What is kept at the centre can be seen while the hall is offline. Who asks for it is written down.", keep: "Keep at the centre", waiting: "Fetching…", none: "not kept", not_now: "The hall is offline: nothing can be fetched now", refused: "Your role does not have footage kept",
    state: { asked: "being fetched ({who})", kept: "kept since {time} ({who})", failed: "failed: {why}", dropped: "dropped: {why}" },
    why: { days: "older than the days that are kept", bytes: "no room; the oldest go first" },
  },
  ptz: {
    title: "Move the camera", open: "Move", close: "Close moving", up: "Up", down: "Down", left: "Left", right: "Right", in: "Zoom in", out: "Zoom out", speed: "Speed", slow: "slow", middle: "medium", fast: "fast",
    presets: "Places", none: "The camera remembers no places", asking: "Asking the camera…", went: "Going to “{name}”", hint: "Hold to move, let go to stop; with the keyboard hold space or enter", not_movable: "This camera cannot be moved",
  },
};
export default en;
