//! `edge-agent profile check` and `sniff`, as a person runs them: the program itself, on a pty with a device of an unknown
//! vendor at its far end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the answer")]

use std::{process::Stdio, time::Duration};

use device_drivers::{profile::shipped::SHIPPED, simulator::pty::Pty};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
};

const LONG: Duration = Duration::from_secs(60);

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge-agent"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn check_says_which_test_fails_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let (_, text) = SHIPPED[0];
    std::fs::write(&file, text).unwrap();
    let run = async |file: &std::path::Path| {
        let output = program().args(["profile", "check"]).arg(file).output();
        tokio::time::timeout(LONG, output).await.unwrap().unwrap()
    };
    let output = run(&file).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("ok  ").count(), text.matches("[[test]]").count(), "{said}");

    let wrong = text.replace("ack = \"68 02 02 68 83 01 84 16\"", "ack = \"68 02 02 68 83 01 85 16\"");
    assert_ne!(wrong, text);
    std::fs::write(&file, &wrong).unwrap();
    let output = run(&file).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = text[..text.find("title = \"B2.1 evaluator: grade 3, form B\"").unwrap()].lines().count();
    let failed = said.lines().find(|line| line.starts_with("FAILED")).unwrap();
    assert!(failed.contains(&format!("line {line:>4}")), "{failed}");
    assert!(failed.contains("68 02 02 68 83 01 84 16, expected 68 02 02 68 83 01 85 16"), "{failed}");

    std::fs::write(&file, text.replace("turnaround", "turnround")).unwrap();
    let output = run(&file).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("did you mean rs485_turnaround_ms?"), "{said}");
}

/// A vendor nobody knows: `C3 11 <key> <sum> 0D`.
fn press(key: u8) -> Vec<u8> {
    let sum = 0x11u8.wrapping_add(key);
    vec![0xC3, 0x11, key, sum, 0x0D]
}

#[tokio::test]
async fn sniff_proposes_a_profile_that_check_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let (line, out) = (folder.path().join("line"), folder.path().join("draft.toml"));
    let mut pty = Pty::open(Some(&line)).unwrap();
    let mut child = program()
        .args(["profile", "sniff"])
        .arg(&line)
        .args(["--buttons", "5,4,3,2,1", "--seconds", "1.5", "--quiet-seconds", "0.2", "--name", "stranger"])
        .arg("--out")
        .arg(&out)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let conversation = async {
        let mut words = Vec::new();
        while let Some(text) = told.next_line().await.unwrap() {
            if let Some(grade) = text.strip_prefix("press grade ") {
                let grade: u8 = grade[..1].parse().unwrap();
                for _ in 0..3 {
                    pty.write_all(&press(0x40 + grade)).await.unwrap();
                    // The pause of a finger between two presses.
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
            words.push(text);
        }
        words.join("\n")
    };
    let words = tokio::time::timeout(LONG, conversation).await.unwrap();
    let status = tokio::time::timeout(LONG, child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{words}");
    assert!(words.contains("found: byte 2 says which button"), "{words}");
    assert!(words.contains("found: a sum8"), "{words}");
    let check = program().args(["profile", "check"]).arg(&out).output();
    let output = tokio::time::timeout(LONG, check).await.unwrap().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("stranger: 6 tests pass"), "{said}");
}
