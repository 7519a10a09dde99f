//! How a round is printed: a few tables for the eye; everything is in the JSON.

use super::{Round, course::Part};
use crate::percentiles::Spread;

const MIB: f64 = 1024.0 * 1024.0;

/// Prints one round.
pub(super) fn print(round: &Round, seconds: f64) {
    let shape = round.shape;
    println!();
    println!(
        "relay {} cameras × {} viewers = {} streams, {seconds} s, {:.0} kb/s, 25 fps, largest picture {} bytes; load {} → {}",
        shape.cameras,
        shape.viewers,
        shape.streams(),
        round.kilobits,
        round.largest_unit,
        round.load_before,
        round.load_after
    );
    cpu_and_memory(round);
    delay(round);
    entries(round);
    stuck(round);
    for failure in &round.failures {
        println!("  FAILED  {failure}");
    }
    for outcome in &round.outcomes {
        outcome.notes.iter().for_each(|note| println!("  note    {}: {note}", outcome.name));
    }
}

fn cpu_and_memory(round: &Round) {
    let (cameras, streams) = (round.shape.cameras as f64, round.shape.streams() as f64);
    println!(
        "  CPU ms per second                   per camera  per stream   idle, all   memory MiB (PSS): idle   loaded (RSS)          above idle, per camera"
    );
    let row = |name: &str, cpu: f64, idle: Option<f64>, memory: Option<(Option<f64>, f64, f64)>| {
        let idle = idle.map_or("–".to_owned(), |idle| format!("{idle:.1}"));
        let memory = memory.map_or(String::new(), |(before, loaded, resident)| {
            let above = before.map_or(loaded, |before| loaded - before) / cameras;
            let before = before.map_or("–".to_owned(), |before| format!("{before:.1}"));
            format!(
                "{before:>22} {:>8} {:<14} {above:>12.2}",
                format!("{loaded:.1}"),
                format!("({resident:.1})")
            )
        });
        println!("    {name:<32} {:>11.3} {:>11.3} {idle:>11}   {memory}", cpu / cameras, cpu / streams);
    };
    for outcome in &round.outcomes {
        let memory = |part: &Part| {
            let idle = part.idle.map(|idle| idle.proportional as f64 / MIB);
            (idle, part.loaded.proportional as f64 / MIB, part.loaded.resident as f64 / MIB)
        };
        for part in &outcome.parts {
            let several = if part.processes > 1 { format!(" × {}", part.processes) } else { String::new() };
            let idle = part.idle_cpu_ms_per_second;
            let name = if outcome.parts.len() > 1 {
                format!("  {}", part.name)
            } else {
                format!("{}{several}", outcome.name)
            };
            row(&name, part.cpu_ms_per_second, idle, Some(memory(part)));
        }
        if outcome.parts.len() > 1 {
            let cpu = outcome.parts.iter().map(|part| part.cpu_ms_per_second).sum();
            let idle = outcome.parts.iter().map(|part| part.idle_cpu_ms_per_second).sum();
            let all = outcome
                .parts
                .iter()
                .map(memory)
                .reduce(|a, b| (a.0.zip(b.0).map(|(a, b)| a + b), a.1 + b.1, a.2 + b.2));
            row(&format!("{}, both", outcome.name), cpu, idle, all);
        }
        row("    (its viewers: this program)", outcome.viewers_cpu_ms_per_second, None, None);
        row("    (the simulated cameras)", outcome.cameras_cpu_ms_per_second, None, None);
    }
}

fn in_ms(spread: Option<Spread>) -> String {
    let text = |s: Spread| format!("{:>7.2} {:>7.2} {:>8.2}", s.p50 / 1000.0, s.p99 / 1000.0, s.max / 1000.0);
    spread.map_or(format!("{:>24}", "–"), text)
}

fn delay(round: &Round) {
    println!(
        "  delay ms: p50 p99 max    camera → viewer            camera → direct client     added (same pictures)      pictures got, left out"
    );
    for outcome in &round.outcomes {
        println!(
            "    {:<22} {}   {}   {}   {:.2} % of {}, {}{}",
            outcome.name,
            in_ms(outcome.delay_us),
            in_ms(outcome.direct_us),
            in_ms(outcome.added_us),
            share(outcome.got, outcome.expected),
            outcome.expected,
            outcome.missing,
            if outcome.unstamped > 0 {
                format!(", {} without stamp", outcome.unstamped)
            } else {
                String::new()
            }
        );
    }
}

fn share(got: usize, expected: usize) -> f64 {
    got as f64 * 100.0 / expected.max(1) as f64
}

fn entries(round: &Round) {
    println!(
        "  first picture ms: p50 max     cold: nobody watches       live: first picture    live: caught up   (connecting before)"
    );
    let text = |spread: Option<Spread>| {
        spread.map_or("–".to_owned(), |s| format!("{:.1} {:.1} (of {})", s.p50, s.max, s.count))
    };
    for outcome in &round.outcomes {
        println!(
            "    {:<22} {:>24} {:>26} {:>17} {:>21}",
            outcome.name,
            text(outcome.cold_ms),
            text(outcome.live_first_ms),
            text(outcome.live_caught_up_ms),
            text(outcome.connected_ms)
        );
    }
    println!("    {:<22} {:>24}", "(direct client)", text(round.direct_cold_ms));
    println!(
        "    (cold, Hallwatch: from asking on an open wall; others: from the start of the relay's pipelines or processes)"
    );
}

fn stuck(round: &Round) {
    println!(
        "  one viewer stops reading: the others' delay ms p50 p99 max, before    and meanwhile              pictures they got, left out"
    );
    for outcome in &round.outcomes {
        let Some(stuck) = &outcome.stuck else { continue };
        println!(
            "    {:<22} {}   {}   {:.2} %, {}; {:.0} s, relay's memory {:+.1} MiB{}{}\n      {}",
            outcome.name,
            in_ms(outcome.delay_us),
            in_ms(stuck.delay_us),
            share(stuck.got, stuck.expected),
            stuck.missing,
            stuck.seconds,
            stuck.grown as f64 / MIB,
            stuck.told_missing.map_or(String::new(), |told| format!(", told of {told} left out")),
            stuck
                .back_ms
                .map_or(String::new(), |back| format!(", a fresh picture {back:.0} ms after reading again")),
            stuck.what
        );
        stuck.ended.iter().for_each(|why| println!("      when it read again: {why}"));
    }
}

/// What the design asks for, for the reader to compare.
pub(super) fn print_targets() {
    println!();
    println!("targets, for ONE hop: CPU per stream-second ≤ 1.0 ms at 64 × 1, ≤ 0.4 ms at 1 × 64; memory at");
    println!(
        "64 × 1 ≤ 1 MiB a camera; delay added ≤ 0.15 / 1 ms (p50 / p99). Hallwatch above is always TWO hops, edge agent and"
    );
    println!(
        "control centre, with TLS between and TLS to the viewer: its rows by process are the hops' CPU and memory; the delay of"
    );
    println!(
        "one hop alone cannot be taken, since no viewer connects to an edge agent. Both together, TLS between: p99 ≤ 5 ms."
    );
    println!(
        "A newcomer caught up ≤ 5 ms at the socket; cold ≤ connect + next key frame (these cameras give one when asked)."
    );
}
