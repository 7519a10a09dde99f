//! Who may speak on a line that carries one voice at a time (RS-485): a pure piece that bus drivers ask.
//!
//! Owns the silence before the host speaks, the silence that ends a torn frame, the time our own bytes occupy the line,
//! the wait for an answer, and taking our own bytes out of what an echoing adapter hears. Knows no frame and no port.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The rules of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusRules {
    /// Bits per second; with 8N1 a byte takes ten of them.
    pub baud: u32,
    /// Silence after the last byte on the line before the host may speak.
    pub turnaround: Duration,
    /// On a line that never falls silent the host speaks this long after it first wanted to: better a collision than no
    /// answer.
    pub turnaround_limit: Duration,
    /// Silence after which a frame that has begun is given up.
    pub gap: Duration,
    /// Whether the adapter hears what it says.
    pub local_echo: bool,
}

impl Default for BusRules {
    /// 9600 baud, 10 ms and at most 60 ms of turnaround, 50 ms gap, no echo.
    fn default() -> Self {
        Self {
            baud: 9600,
            turnaround: Duration::from_millis(10),
            turnaround_limit: Duration::from_millis(60),
            gap: Duration::from_millis(50),
            local_echo: false,
        }
    }
}

impl BusRules {
    /// How long this many bytes take on the line.
    pub fn line_time(&self, bytes: usize) -> Duration {
        let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(10);
        Duration::from_nanos(bits.saturating_mul(1_000_000_000) / u64::from(self.baud.max(1)))
    }
}

/// One line as the host hears it.
#[derive(Debug)]
pub struct HalfDuplex {
    rules: BusRules,
    /// When the line was last known busy: the last byte heard, or the end of our own bytes.
    busy_until: Instant,
    /// The end of our own bytes; into them we never speak.
    ours_until: Instant,
    wants_since: Option<Instant>,
    awaiting: Option<Instant>,
    echo: VecDeque<u8>,
}

impl HalfDuplex {
    /// A line just opened: busy until now.
    pub fn new(rules: BusRules, now: Instant) -> Self {
        Self {
            rules,
            busy_until: now,
            ours_until: now,
            wants_since: None,
            awaiting: None,
            echo: VecDeque::new(),
        }
    }

    /// Its rules.
    pub fn rules(&self) -> &BusRules {
        &self.rules
    }

    /// Bytes were heard. Gives those that others said: our own echo is taken out. Whatever is heard is taken for
    /// the awaited answer once it is not our own.
    pub fn heard<'a>(&mut self, bytes: &'a [u8], now: Instant) -> &'a [u8] {
        self.busy_until = self.busy_until.max(now);
        let mut at = 0;
        while at < bytes.len() {
            match self.echo.front() {
                Some(expected) if *expected == bytes[at] => {
                    self.echo.pop_front();
                    at += 1;
                }
                // A collision, or an adapter without echo after all.
                Some(_) => {
                    self.echo.clear();
                    break;
                }
                None => break,
            }
        }
        let others = &bytes[at..];
        if !others.is_empty() {
            self.awaiting = None;
        }
        others
    }

    /// The host has something to say, until [`spoke`](Self::spoke) or [`has_nothing_to_say`](Self::has_nothing_to_say).
    pub fn wants_to_speak(&mut self, now: Instant) {
        self.wants_since.get_or_insert(now);
    }

    /// What was to be said is not to be said any more.
    pub fn has_nothing_to_say(&mut self) {
        self.wants_since = None;
    }

    /// When the host may speak; `None` when it has nothing to say. While an answer is awaited the line is the
    /// asked device's.
    pub fn may_speak_at(&self) -> Option<Instant> {
        let since = self.wants_since?;
        let quiet = self.busy_until + self.rules.turnaround;
        let turn =
            quiet.min(since + self.rules.turnaround_limit).max(self.ours_until + self.rules.turnaround);
        Some(match self.awaiting {
            Some(until) => turn.max(until),
            None => turn,
        })
    }

    /// The host has handed these bytes to the line. If more waits, say so by
    /// [`wants_to_speak`](Self::wants_to_speak) again.
    pub fn spoke(&mut self, bytes: &[u8], now: Instant) {
        self.ours_until = now.max(self.ours_until) + self.rules.line_time(bytes.len());
        self.busy_until = self.ours_until;
        self.wants_since = None;
        if self.rules.local_echo {
            self.echo.extend(bytes);
        }
    }

    /// What was just said is a question: nobody else is spoken to until somebody answers or `within` has gone by after
    /// the end of the question.
    pub fn await_answer(&mut self, within: Duration) {
        self.awaiting = Some(self.busy_until + within);
    }

    /// Whether a question is unanswered at `now`; after its time it is no longer.
    pub fn is_awaiting(&self, now: Instant) -> bool {
        self.awaiting.is_some_and(|until| now < until)
    }

    /// When the wait for an answer is over, if there is one.
    pub fn answer_due(&self) -> Option<Instant> {
        self.awaiting
    }

    /// When a frame that has begun is given up unless more is heard.
    pub fn gap_ends(&self) -> Instant {
        self.busy_until + self.rules.gap
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_host_waits_for_silence_and_not_for_ever() {
        let start = Instant::now();
        let mut line = HalfDuplex::new(BusRules::default(), start);
        assert_eq!(line.may_speak_at(), None);
        line.wants_to_speak(start);
        assert_eq!(line.may_speak_at(), Some(start + 10 * MS));
        // A line that talks on and on pushes our turn away, to the limit.
        for ms in 1..200u32 {
            line.heard(&[0xFF], start + ms * MS);
            line.wants_to_speak(start + ms * MS);
        }
        assert_eq!(line.may_speak_at(), Some(start + 60 * MS));
    }

    #[test]
    fn our_own_bytes_occupy_the_line() {
        let start = Instant::now();
        let mut line = HalfDuplex::new(BusRules::default(), start);
        line.wants_to_speak(start);
        line.spoke(&[0; 96], start + 10 * MS);
        assert_eq!(line.may_speak_at(), None);
        line.wants_to_speak(start + 10 * MS);
        // 96 bytes of 10 bits at 9600 baud are 100 ms; the limit of wanting must not cut into our own frame.
        assert_eq!(line.may_speak_at(), Some(start + 120 * MS));
        assert_eq!(line.gap_ends(), start + 160 * MS);
    }

    #[test]
    fn a_question_keeps_the_line_until_its_answer_or_its_time() {
        let start = Instant::now();
        let mut line = HalfDuplex::new(BusRules::default(), start);
        line.wants_to_speak(start);
        line.spoke(&[1], start);
        line.await_answer(100 * MS);
        line.wants_to_speak(start);
        let due = line.answer_due().unwrap();
        assert!(line.is_awaiting(due - MS) && !line.is_awaiting(due));
        assert_eq!(line.may_speak_at(), Some(due));
        line.heard(&[7], start + 20 * MS);
        assert!(!line.is_awaiting(start + 20 * MS));
        assert_eq!(line.may_speak_at(), Some(start + 30 * MS));
    }

    #[test]
    fn echo_is_taken_out_and_a_collision_ends_the_expectation() {
        let now = Instant::now();
        let mut line = HalfDuplex::new(BusRules { local_echo: true, ..BusRules::default() }, now);
        line.spoke(&[1, 2, 3], now);
        line.await_answer(100 * MS);
        assert_eq!(line.heard(&[1, 2], now), b"");
        assert!(line.is_awaiting(now), "our own echo is no answer");
        assert_eq!(line.heard(&[3, 9, 1], now), [9, 1]);
        line.spoke(&[1, 2, 3], now);
        assert_eq!(line.heard(&[1, 7, 2, 3], now), [7, 2, 3]);
    }

    proptest! {
        /// However the line behaves, the host's turn comes within the limit of wanting or of its question's time.
        #[test]
        fn the_turn_always_comes(
            steps in proptest::collection::vec((0u8..4, 0u64..50), 0..100),
            echo: bool,
        ) {
            let rules = BusRules { local_echo: echo, ..BusRules::default() };
            let mut now = Instant::now();
            let mut line = HalfDuplex::new(rules, now);
            let mut spoken = 0u32;
            for (step, ms) in steps {
                now += Duration::from_millis(ms);
                match step {
                    0 => { line.heard(&[1, 2, 3], now); }
                    1 => line.wants_to_speak(now),
                    2 => { spoken += 1; line.spoke(&[1, 2], now) }
                    _ => line.await_answer(100 * MS),
                }
                if let Some(turn) = line.may_speak_at() {
                    let ours = rules.line_time(2) * spoken;
                prop_assert!(turn <= now + rules.turnaround_limit + 150 * MS + ours);
                }
            }
        }
    }
}
