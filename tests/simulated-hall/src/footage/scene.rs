//! What a simulated camera sees: a counter with a desk, a clerk who types, a visitor who comes, stays and goes.
//!
//! Every picture carries the camera's mark and its name in large letters, and at every moment of the loop something
//! differs from the moment before: a person sees that it lives, and a program can tell two moments apart. The loop
//! closes on itself: its last picture leads into its first.

use std::f64::consts::TAU;

use super::canvas::{Canvas, Colour};
use super::mark::draw_mark;

/// Goes up when the drawing changes, so that clips encoded from an older drawing are not used again.
pub const DRAWING_VERSION: u32 = 2;

/// Grainy backgrounds which take turns: enough to make the picture's bit rate that of a real sensor.
const GRAINS: usize = 4;

/// One camera's scene at one size.
pub struct Scene {
    backgrounds: Vec<Canvas>,
    number: u16,
    hue: f64,
}

impl Scene {
    /// The scene of camera `number`, labelled `label` (Latin letters and digits), at `width` × `height` pixels.
    #[must_use]
    pub fn new(number: u16, label: &str, width: usize, height: usize) -> Self {
        // The golden angle keeps the colours of neighbouring windows far apart.
        let hue = f64::from(number) * 137.508 % 360.0;
        let mut background = Canvas::new(width, height);
        draw_room(&mut background, hue, label);
        let mut state = u64::from(number) << 17 | 0x9E37_79B9;
        let backgrounds = (0..GRAINS)
            .map(|_| {
                let mut grainy = background.clone();
                grainy.grain(2, || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state
                });
                grainy
            })
            .collect();
        Self { backgrounds, number, hue }
    }

    /// Draws the picture at `phase` (0..1 of the loop) of the `index`-th frame.
    pub fn draw(&self, canvas: &mut Canvas, phase: f64, index: usize) {
        // A fixed walk through the backgrounds that does not repeat within a GOP.
        let Some(background) = self.backgrounds.get((index * 7 + index / 3) % GRAINS) else { return };
        canvas.copy_from(background);
        let s = canvas.width() as f64 / 1280.0;
        let v = canvas.height() as f64 / 720.0;
        draw_clerk(canvas, s, v, phase, self.hue);
        draw_visitor(canvas, s, v, phase, self.number);
        draw_desk(canvas, s, v, self.hue);
        draw_clock(canvas, s, v, phase);
        canvas.rect(0.0, 706.0 * v, 1280.0 * s * phase, 14.0 * v, Colour::hsv(self.hue, 0.7, 0.9));
        draw_mark(canvas, self.number);
    }
}

fn draw_room(canvas: &mut Canvas, hue: f64, label: &str) {
    let (w, h) = (canvas.width() as f64, canvas.height() as f64);
    let (s, v) = (w / 1280.0, h / 720.0);
    canvas.rect(0.0, 0.0, w, h, Colour::hsv(hue, 0.18, 0.86));
    for stripe in 0..8 {
        canvas.rect(f64::from(stripe) * 160.0 * s, 0.0, 6.0 * s, 560.0 * v, Colour::hsv(hue, 0.22, 0.80));
    }
    canvas.rect(0.0, 560.0 * v, w, 160.0 * v, Colour::hsv(hue, 0.12, 0.55));
    canvas.rect(0.0, 0.0, w, 84.0 * v, Colour::hsv(hue, 0.75, 0.45));
    let dot = (1240.0 / (label.chars().count().max(1) as f64 * 8.0)).min(9.0) * s;
    canvas.text(24.0 * s, 6.0 * v, dot.max(1.0), label, Colour::WHITE);
    // A notice board on the wall.
    canvas.rect(930.0 * s, 240.0 * v, 270.0 * s, 150.0 * v, Colour::hsv(hue + 40.0, 0.10, 0.95));
    for line in 0..4 {
        let length = [220.0, 180.0, 230.0, 140.0][line];
        canvas.rect(
            950.0 * s,
            (262.0 + line as f64 * 30.0) * v,
            length * s,
            10.0 * v,
            Colour::hsv(hue + 40.0, 0.25, 0.70),
        );
    }
}

fn draw_desk(canvas: &mut Canvas, s: f64, v: f64, hue: f64) {
    canvas.rect(90.0 * s, 520.0 * v, 640.0 * s, 28.0 * v, Colour::rgb(120, 82, 50));
    canvas.rect(110.0 * s, 548.0 * v, 600.0 * s, 130.0 * v, Colour::rgb(150, 106, 66));
    canvas.rect(330.0 * s, 566.0 * v, 160.0 * s, 60.0 * v, Colour::hsv(hue, 0.6, 0.7));
    // Screen and keyboard.
    canvas.rect(430.0 * s, 400.0 * v, 150.0 * s, 96.0 * v, Colour::rgb(40, 44, 52));
    canvas.rect(440.0 * s, 410.0 * v, 130.0 * s, 76.0 * v, Colour::rgb(90, 150, 190));
    canvas.rect(495.0 * s, 496.0 * v, 20.0 * s, 24.0 * v, Colour::rgb(40, 44, 52));
    canvas.rect(320.0 * s, 508.0 * v, 96.0 * s, 12.0 * v, Colour::rgb(60, 60, 66));
}

fn draw_clerk(canvas: &mut Canvas, s: f64, v: f64, phase: f64, hue: f64) {
    // Whole numbers of swings a loop, so that the loop closes.
    let nod = (phase * TAU * 3.0).sin() * 5.0;
    let typing = (phase * TAU * 16.0).sin() * 9.0;
    let shirt = Colour::hsv(hue + 180.0, 0.55, 0.55);
    let skin = Colour::rgb(232, 190, 160);
    canvas.ellipse(260.0 * s, 520.0 * v, 100.0 * s, 150.0 * v, shirt);
    canvas.ellipse((260.0 + nod) * s, 345.0 * v, 54.0 * s, 64.0 * v, skin);
    canvas.ellipse((257.0 + nod) * s, 312.0 * v, 58.0 * s, 36.0 * v, Colour::rgb(44, 34, 30));
    canvas.line((300.0 * s, 440.0 * v), (362.0 * s, (500.0 + typing) * v), 28.0 * s, shirt);
    canvas.ellipse(366.0 * s, (502.0 + typing) * v, 16.0 * s, 14.0 * v, skin);
}

fn draw_visitor(canvas: &mut Canvas, s: f64, v: f64, phase: f64, number: u16) {
    // Comes in during the first fifth of the loop, stays, and leaves during the last fifth: never the same at two
    // windows, because each starts at its own point of the loop.
    let phase = (phase + f64::from(number) * 0.173).fract();
    let away = if phase < 0.2 {
        1.0 - phase / 0.2
    } else if phase > 0.8 {
        (phase - 0.8) / 0.2
    } else {
        0.0
    };
    if away >= 1.0 {
        return;
    }
    let x = 840.0 + away * 560.0;
    let step = if away > 0.0 { (phase * TAU * 20.0).sin() * 14.0 } else { (phase * TAU * 5.0).sin() * 4.0 };
    let coat = Colour::hsv(f64::from(number) * 71.0, 0.65, 0.50);
    canvas.ellipse((x - 30.0 + step) * s, 640.0 * v, 26.0 * s, 70.0 * v, Colour::rgb(50, 54, 70));
    canvas.ellipse((x + 30.0 - step) * s, 640.0 * v, 26.0 * s, 70.0 * v, Colour::rgb(50, 54, 70));
    canvas.ellipse(x * s, 520.0 * v, 84.0 * s, 130.0 * v, coat);
    canvas.ellipse(x * s, (356.0 + step * 0.2) * v, 48.0 * s, 58.0 * v, Colour::rgb(224, 178, 148));
    canvas.ellipse((x + 4.0) * s, (328.0 + step * 0.2) * v, 52.0 * s, 36.0 * v, Colour::rgb(60, 46, 40));
    canvas.line(
        ((x - 60.0) * s, 450.0 * v),
        ((x - 120.0 + away * 60.0) * s, (510.0 + step) * v),
        26.0 * s,
        coat,
    );
}

fn draw_clock(canvas: &mut Canvas, s: f64, v: f64, phase: f64) {
    let (cx, cy, r) = (1180.0 * s, 500.0 * v, 74.0 * s);
    canvas.ellipse(cx, cy, r, r * v / s, Colour::rgb(60, 60, 60));
    canvas.ellipse(cx, cy, r * 0.9, r * 0.9 * v / s, Colour::WHITE);
    let angle = phase * TAU;
    canvas.line(
        (cx, cy),
        (cx + angle.sin() * r * 0.8, cy - angle.cos() * r * 0.8),
        8.0 * s,
        Colour::rgb(200, 30, 30),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footage::read_mark;

    #[test]
    fn every_moment_carries_the_mark_and_differs_from_the_next() {
        let scene = Scene::new(712, "W07", 640, 360);
        let (mut one, mut two) = (Canvas::new(640, 360), Canvas::new(640, 360));
        for frame in 0..10 {
            scene.draw(&mut one, f64::from(frame) / 10.0, 0);
            scene.draw(&mut two, f64::from(frame + 1) / 10.0 % 1.0, 0);
            assert_eq!(read_mark(&one.to_rgb(), 640, 360), Some(712));
            let changed = one.pixels().iter().zip(two.pixels()).filter(|(a, b)| a.abs_diff(**b) > 20).count();
            assert!(changed > 200, "frame {frame}: only {changed} samples changed");
        }
    }
}
