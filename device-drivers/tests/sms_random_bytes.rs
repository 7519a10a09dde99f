//! 10⁸ random bytes through the parsers of what a modem says: no panic, bounded memory, and in step again at the next
//! line. Takes minutes in a debug build: `cargo test -p device-drivers --test sms_random_bytes -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the answer")]

use std::time::Instant;

use device_drivers::{
    clock::Mono,
    sms::{
        at::{Answer, Dialogue, Heard, Lines, Meaning},
        parts::Assembly,
        pdu::{Deliver, StatusReport, Submit},
    },
};

const BYTES: usize = 100_000_000;

/// xorshift64*: the same bytes each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() >> 33).unwrap() % limit
    }
}

#[test]
#[ignore = "long"]
fn a_modems_line() {
    let began = Instant::now();
    let mut dice = Dice(0x5EED);
    let words: [&[u8]; 8] = [
        b"OK\r\n",
        b"\r\n",
        b"+CMTI: \"SM\",3\r",
        b"> ",
        b"+CMGL: 1,0,,9\r\n",
        b"+CDS: 9\n",
        b"ERROR\r",
        b"+CMS ERROR: ",
    ];
    let answers = [Answer::Nothing, Answer::Lines("+CSQ:"), Answer::Pairs("+CMGL:"), Answer::Free];
    let (mut lines, mut dialogue) = (Lines::default(), Dialogue::default());
    let (mut fed, mut heard_lines, mut in_step) = (0, 0u64, 0u64);
    while fed < BYTES {
        let mut piece: Vec<u8> = (0..64).map(|_| dice.roll().to_be_bytes()[0]).collect();
        if dice.below(4) == 0 {
            piece.extend(words[dice.below(words.len())]);
        }
        fed += piece.len();
        lines.push(&piece);
        while let Some(heard) = lines.next_heard() {
            if let Heard::Line(line) = heard {
                heard_lines += 1;
                dialogue.line(&line);
            }
        }
        if dice.below(1000) == 0 {
            // A command after the noise is answered like any other.
            lines.push(b"\r\n");
            while let Some(heard) = lines.next_heard() {
                if let Heard::Line(line) = heard {
                    dialogue.line(&line);
                }
            }
            dialogue.ask("AT", answers[dice.below(answers.len())]);
            lines.push(b"\r\nOK\r\n");
            let mut ended = false;
            while let Some(heard) = lines.next_heard() {
                if let Heard::Line(line) = heard {
                    ended |= matches!(dialogue.line(&line), Meaning::Done(Ok(_)));
                }
            }
            assert!(ended, "out of step after {fed} bytes");
            in_step += 1;
        }
    }
    println!("{fed} bytes, {heard_lines} lines, {in_step} times in step again, {:.1?}", began.elapsed());
}

#[test]
#[ignore = "long"]
fn text_messages() {
    let began = Instant::now();
    let mut dice = Dice(0x5EED);
    let sound = data("0891683110200005F0440D91683108108300F000084230508095102308050003400201597D");
    let mut assembly = Assembly::default();
    let (mut fed, mut pdus, mut read) = (0, 0u64, 0u64);
    while fed < BYTES {
        let octets: Vec<u8> = if dice.below(2) == 0 {
            (0..dice.below(180)).map(|_| dice.roll().to_be_bytes()[0]).collect()
        } else {
            let mut octets = sound.clone();
            for _ in 0..=dice.below(4) {
                let at = dice.below(octets.len());
                octets[at] = dice.roll().to_be_bytes()[0];
            }
            octets.truncate(octets.len() - dice.below(2) * dice.below(octets.len()));
            octets
        };
        fed += octets.len().max(1);
        pdus += 1;
        let hex = data_encoding::HEXUPPER.encode(&octets);
        if let Ok(message) = Submit::decode(&hex)
            && let Ok(encoded) = message.encode()
        {
            read += 1;
            assert_eq!(Submit::decode(&encoded.hex).as_ref(), Ok(&message));
        }
        if let Ok(message) = Deliver::decode(&hex) {
            read += 1;
            let now = Mono(u64::try_from(fed).unwrap());
            assert!(assembly.take(message, (), now).is_none_or(|whole| whole.complete));
            while assembly.give_up(now).is_some() {}
            assert!(assembly.unfinished() <= 64);
        }
        read += u64::from(StatusReport::decode(&hex).is_ok());
    }
    println!("{fed} bytes, {pdus} PDUs, {read} of them read, {:.1?}", began.elapsed());
    assert!(read > 100_000);
}

fn data(hex: &str) -> Vec<u8> {
    data_encoding::HEXUPPER.decode(hex.as_bytes()).unwrap()
}
