//! What an unknown device was heard to say: a draft that its own engine reads, or words; never a panic.
#![no_main]

use device_drivers::{
    clock::Mono,
    profile::{
        Profile,
        sniff::{Burst, Circumstances, Label, propose},
    },
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<(u8, u32, Vec<u8>)>)| {
    let (presses, heard) = input;
    let bursts = heard.into_iter().take(60).map(|(label, at, mut bytes)| {
        bytes.truncate(32);
        let label = match label % 6 {
            0 => Label::Background,
            grade => Label::Grade(grade),
        };
        Burst { label, at: Mono(u64::from(at)), bytes }
    });
    let bursts: Vec<Burst> = bursts.collect();
    let circumstances = Circumstances {
        name: "fuzz".into(),
        title: "fuzz".into(),
        baud: 9600,
        presses: usize::from(presses % 4) + 1,
    };
    match propose(&bursts, &circumstances) {
        Ok(draft) => assert!(Profile::parse("draft", &draft.toml).is_ok()),
        Err(why) => assert!(!why.to_string().is_empty()),
    }
});
