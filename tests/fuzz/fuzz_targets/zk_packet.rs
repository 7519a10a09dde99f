//! What an attendance terminal may send: packets, and in them the log, live events, capacity and times.
#![no_main]

use bytes::Bytes;
use device_drivers::attendance::zk::{
    packet::{Packet, PacketDecoder, pack_time, unpack_time},
    records::{Capacity, read_events, read_log, read_record},
    users::{NameEncoding, read_users},
};
use libfuzzer_sys::fuzz_target;

fn read_payload(payload: &Bytes) {
    let _events = read_events(payload);
    let _record = read_record(payload);
    let _capacity = Capacity::read(payload);
    for records in [0, 1, 3, payload.len() as u32 / 16, payload.len() as u32 / 8] {
        let _log = read_log(payload, records);
        for encoding in [NameEncoding::Gbk, NameEncoding::Utf8] {
            let _users = read_users(payload, records, encoding);
        }
    }
    if let Some(packed) = payload.first_chunk::<4>() {
        let packed = u32::from_le_bytes(*packed);
        if let Some(time) = unpack_time(packed) {
            assert_eq!(unpack_time(pack_time(time)), Some(time));
        }
    }
}

fuzz_target!(|input: (u16, u16, u16, Vec<u8>, Vec<u8>)| {
    let (command, session, reply, payload, stream) = input;
    read_payload(&Bytes::from(payload.clone()));
    // A packet that we write is read again; then whatever comes.
    let packet = Packet::new(command, session, reply, payload);
    assert_eq!(Packet::decode(packet.encode_datagram().into()).as_ref(), Ok(&packet));
    let _datagram = Packet::decode(stream.clone().into());
    let mut decoder = PacketDecoder::default();
    decoder.push(&packet.encode());
    decoder.push(&stream);
    if let Ok(Some(read)) = decoder.next_packet() {
        assert_eq!(read, packet);
    }
    while let Ok(Some(packet)) = decoder.next_packet() {
        read_payload(&packet.payload);
    }
});
