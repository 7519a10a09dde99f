//! What a modem writes, however it is split: after it two OKs end any command.
#![no_main]

use device_drivers::sms::at::{Answer, Dialogue, Heard, Lines, Meaning};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<Vec<u8>>)| {
    let (which, pieces) = input;
    let answers = [Answer::Nothing, Answer::Lines("+CSQ:"), Answer::Pairs("+CMGL:"), Answer::Free];
    let mut lines = Lines::default();
    let mut dialogue = Dialogue::default();
    dialogue.ask("AT+X", answers[usize::from(which) % answers.len()]);
    for piece in &pieces {
        lines.push(piece);
        while let Some(heard) = lines.next_heard() {
            if let Heard::Line(line) = heard {
                assert!(line.len() <= 4 * 1024 && !line.contains(['\r', '\n']));
                dialogue.line(&line);
            }
        }
    }
    lines.push(b"\r\nOK\r\nOK\r\n");
    let mut ended = !dialogue.is_waiting();
    while let Some(heard) = lines.next_heard() {
        if let Heard::Line(line) = heard {
            ended |= matches!(dialogue.line(&line), Meaning::Done(_));
        }
    }
    assert!(ended);
});
