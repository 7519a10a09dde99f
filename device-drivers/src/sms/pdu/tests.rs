//! The vectors of devices.md F, and what must hold for any bytes.

use proptest::prelude::*;

use super::*;

fn submit(to: &str, text: &str) -> Submit {
    Submit {
        to: to.parse().unwrap(),
        content: Content::Ucs2(text.encode_utf16().collect()),
        concat: None,
        validity: None,
        report: false,
    }
}

#[track_caller]
fn is(message: &Submit, hex: &str, length: usize) {
    assert_eq!(message.encode().unwrap(), Encoded { hex: hex.to_owned(), length });
    assert_eq!(Submit::decode(hex).unwrap(), *message);
}

/// devices.md F, SUBMIT: national number.
#[test]
fn f_national() {
    is(
        &submit("13800138000", "请对本次服务进行评价"),
        "0001000B813108108300F00008148BF75BF9672C6B21670D52A18FDB884C8BC44EF7",
        33,
    );
}

/// devices.md F, SUBMIT: international number.
#[test]
fn f_international() {
    is(&submit("+8613800138000", "您好"), "0001000D91683108108300F000080460A8597D", 18);
}

/// devices.md F, SUBMIT: status report, validity of four days.
#[test]
fn f_report_and_validity() {
    let message = Submit { validity: Some(0xAA), report: true, ..submit("13800138000", "您好") };
    is(&message, "0031000B813108108300F00008AA0460A8597D", 18);
}

/// devices.md F, SUBMIT: 80 characters in two parts, reference 2A.
#[test]
fn f_two_parts() {
    let text: String = "评".repeat(80);
    let messages = super::super::parts::cut(&"13800138000".parse().unwrap(), &text, 0x2A).unwrap();
    let encoded: Vec<_> = messages.iter().map(|message| message.encode().unwrap()).collect();
    assert_eq!(encoded.len(), 2);
    assert!(encoded[0].hex.starts_with("0041000B813108108300F000088C0500032A0201"), "{}", encoded[0].hex);
    assert!(encoded[1].hex.contains("200500032A0202"), "{}", encoded[1].hex);
    assert_eq!((encoded[0].length, encoded[1].length), (153, 45));
}

/// devices.md F: what gammu sends for 请评价, with a service centre and validity FF.
#[test]
fn f_gammu() {
    let hex = "0891683110200005F011000B813108108300F00008FF068BF78BC44EF7";
    let message = Submit::decode(hex).unwrap();
    assert_eq!(message, Submit { validity: Some(0xFF), ..submit("13800138000", "请评价") });
    assert_eq!(message.encode().unwrap().length, 20);
}

/// devices.md F: an incoming "1".
#[test]
fn f_incoming() {
    let hex = "0891683110200005F0040D91683108108300F0000842305080951023020031";
    let message = Deliver::decode(hex).unwrap();
    assert_eq!(message.from.reveal(), "+8613800138000");
    assert_eq!(message.content.text(), "1");
    assert_eq!(message.sent, Some("2024-03-05T08:59:01+08:00".parse().unwrap()));
    let back = message.encode(Offset::constant(8)).unwrap();
    assert_eq!(back.hex[2..], hex[18..]);
}

#[test]
fn a_senders_name_and_a_negative_zone() {
    let message = Deliver {
        from: PhoneNumber::name("CMCC-95".into()),
        content: Content::of("hi [1]"),
        concat: None,
        sent: Some("2026-11-22T01:02:03-03:30".parse().unwrap()),
    };
    let zone = Offset::from_seconds(-12_600).unwrap();
    let encoded = message.encode(zone).unwrap();
    assert_eq!(Deliver::decode(&encoded.hex).unwrap(), message);
}

#[test]
fn reports_come_back() {
    let report = StatusReport { reference: 7, to: "+8613800138000".parse().unwrap(), status: 0x45 };
    let encoded = report.encode(Timestamp::UNIX_EPOCH, Offset::constant(8)).unwrap();
    assert_eq!(StatusReport::decode(&encoded.hex).unwrap(), report);
    assert!(matches!(Deliver::decode(&encoded.hex), Err(PduError::Kind(6))));
}

#[test]
fn what_is_wrong_is_said() {
    assert_eq!(Deliver::decode("0G"), Err(PduError::NotHex));
    assert_eq!(Deliver::decode(""), Err(PduError::Short("the service centre")));
    assert_eq!(Deliver::decode("0791"), Err(PduError::Short("the service centre")));
    assert_eq!(Deliver::decode("0004"), Err(PduError::Short("an address")));
    assert_eq!(Deliver::decode(&"00".repeat(300)), Err(PduError::Long));
    let long = Submit { content: Content::Gsm7(vec![0x41; 161]), ..submit("10086", "") };
    assert_eq!(long.encode(), Err(PduError::Long));
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        proptest::collection::vec(0u8..128, 0..=152).prop_map(Content::Gsm7),
        proptest::collection::vec(any::<u16>(), 0..=66).prop_map(Content::Ucs2),
        proptest::collection::vec(any::<u8>(), 0..=133).prop_map(Content::Octets),
    ]
}

fn concat() -> impl Strategy<Value = Option<Concat>> {
    proptest::option::of((any::<u8>(), any::<bool>(), 1u8..=255, 1u8..=255).prop_map(
        |(reference, wide, a, b)| Concat {
            reference: if wide { 0x100 + u16::from(reference) } else { u16::from(reference) },
            wide,
            total: a.max(b),
            sequence: a.min(b),
        },
    ))
}

proptest! {
    #[test]
    fn submits_come_back(
        to in "\\+?[0-9]{1,20}",
        content in content(),
        concat in concat(),
        validity: Option<u8>,
        report: bool,
    ) {
        let message = Submit { to: to.parse().unwrap(), content, concat, validity, report };
        prop_assert_eq!(Submit::decode(&message.encode().unwrap().hex).unwrap(), message);
    }

    #[test]
    fn delivers_come_back(
        from in "\\+?[0-9]{1,20}",
        content in content(),
        concat in concat(),
        second in 946_684_800i64..4_102_444_800,
        quarters in -48i32..=56,
    ) {
        let offset = Offset::from_seconds(quarters * 900).unwrap();
        let sent = Timestamp::from_second(second).unwrap();
        prop_assume!((2000..2100).contains(&offset.to_datetime(sent).year()));
        let message = Deliver { from: from.parse().unwrap(), content, concat, sent: Some(sent) };
        prop_assert_eq!(Deliver::decode(&message.encode(offset).unwrap().hex).unwrap(), message);
    }

    #[test]
    fn any_text(text in "[0-9A-Fa-f]{0,400}|.{0,50}") {
        let _ = Submit::decode(&text);
        let _ = Deliver::decode(&text);
        let _ = StatusReport::decode(&text);
    }

    /// Any octets that read as a message can be written again, unless their address is none of ours.
    #[test]
    fn any_octets(octets in proptest::collection::vec(any::<u8>(), 0..180)) {
        let hex = HEXUPPER.encode(&octets);
        if let Ok(message) = Submit::decode(&hex) {
            prop_assert!(message.content.text().chars().count() <= 280);
        }
        if let Ok(message) = Deliver::decode(&hex) {
            prop_assert!(message.content.text().chars().count() <= 280);
        }
        let _ = StatusReport::decode(&hex);
    }
}
