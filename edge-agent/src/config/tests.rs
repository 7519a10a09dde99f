use super::*;

const FULL: &str = r#"
[hall]
id = "450103-01"
name = "青秀区政务服务中心"
time_zone = "Asia/Shanghai"
data = "/tmp/x"
day_ends_hour = 0
rated_linger_ms = 3000
[centre]
url = "https://127.0.0.1:9443"
first_delay_seconds = 1
[local_site]
listen = "127.0.0.1:0"
[hall_site]
listen = "127.0.0.1:0"
names = ["hall.lan", "192.0.2.5"]
[[business]]
name = "社保"
prefix = "A"
priority = 0
[[window]]
number = 7
name = "社保窗口"
businesses = ["社保"]
rating_seconds = 8
[[window]]
number = 8
name = "医保窗口"
[[bus]]
name = "bus-1"
path = "/dev/x"
baud = 9600
ack_form = "A"
[[bus.keypad]]
window = 7
address = 3
[[bus.evaluator]]
window = 7
address = 3
grades = { "04" = 5, "03" = 4, "02" = 3, "01" = 2, "00" = 1 }
grades_confirmed_by = "li"
[keys]
sign_in_digits = 2
[keys.function]
0 = "hold"
5 = "no_show"
[[ticket_machine]]
name = "T01"
path = "/dev/y"
baud = 9600
[ticket_machine.pattern]
number = '^(?P<number>[A-Z]\d{3})$'
business = '业务：(?P<business>.+)'
waiting = '等候：(?P<waiting>\d+)'
time = '(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)'
[[attendance]]
name = "A01"
address = "127.0.0.1:4370"
comm_key_credential = "terminal"
log_seconds = 60
transport = "udp"
set_clock = true
[[line]]
name = "strips"
path = "/dev/x"
baud = 9600
[[line.device]]
role = "display"
profile = "led-strip-colour"
window = 7
address = 5
text = "请{ticket}"
[line.device.values]
colour = 1
[[line]]
name = "buttons"
keyboard = "/dev/input/by-id/usb-x-event-kbd"
[[line.device]]
role = "evaluator"
profile = "usb-boot-keyboard-evaluator"
window = 8
grades = { 1E = 5, 1F = 1 }
grades_confirmed_by = "li"
[[line]]
name = "voice"
address = "10.0.0.7:4001"
[[line.device]]
role = "voice"
profile = "syn6288-voice"
name = "V01"
[[line]]
name = "counter"
listen = "0.0.0.0:5001"
allow = ["10.0.0.8"]
[[line.device]]
role = "sensor"
profile = "modbus-rtu"
name = "S01"
address = 1
ack_form = "b"
[attendance_push]
listen = "0.0.0.0:8081"
allow = ["10.0.0.0/24"]
set_clock = "packed"
[[attendance_push.terminal]]
name = "A02"
serial = "CJDE193560008"
address = "10.0.0.12"
comm_key_credential = "push"
[[fingerprint]]
name = "A03"
path = "/dev/f"
baud = 57600
family = "ef01"
password_credential = "module"
state = 1
slots = { 2 = "1002", 1 = "1001" }
[[ticket_printer]]
name = "P01"
address = "10.0.0.20:9100"
paper = "58mm"
note = "过号请重新取号"
[tickets]
allow = ["10.0.0.21"]
[[modem]]
name = "M01"
path = "/dev/m"
baud = 115200
daily_per_number = 3
[[camera]]
id = "450103-01-W07-C1"
window = 7
name = "7号窗口"
url = "rtsp://127.0.0.1:554/main"
sub_url = "rtsp://127.0.0.1:554/sub"
user = "admin"
credential = "cameras"
[video]
keep_sub = true
main_linger_seconds = 10
"#;

#[test]
fn reads_every_setting() {
    let config = Config::parse(FULL).unwrap();
    assert_eq!(config.windows[0].id.as_str(), "450103-01-W07");
    assert_eq!(config.windows[0].rating_seconds, 8);
    assert_eq!(config.buses[0].evaluators[0].position.as_str(), "450103-01-W07-evaluator");
    assert_eq!(config.buses[0].evaluators[0].grades[&4], 5);
    assert_eq!(config.keys.function[&5], Function::NoShow);
    assert_eq!(config.ticket_machines[0].position.as_str(), "450103-01-T01-ticket");
    assert_eq!(config.attendance[0].position.as_str(), "450103-01-A01-attendance");
    assert!(config.attendance[0].set_clock);
    assert_eq!(config.attendance[0].transport, device_drivers::attendance::zk::Transport::Udp);
    let windows: Vec<_> = config.position_windows().into_iter().map(|(p, _)| p.to_string()).collect();
    let at_windows = ["W07-keypad", "W07-evaluator", "W07-display", "W08-evaluator"];
    assert_eq!(windows, at_windows.map(|place| format!("450103-01-{place}")));
    assert_eq!(config.buses[0].evaluators[0].grades_confirmed_by.as_deref(), Some("li"));
    assert_eq!(config.hall_site.as_ref().unwrap().names, ["hall.lan", "192.0.2.5"]);
    assert_eq!(config.cameras[0].entry().url, "rtsp://127.0.0.1:554/main");
}

#[test]
fn every_kind_of_device_has_its_place_and_its_line() {
    let config = Config::parse(FULL).unwrap();
    let devices: Vec<_> = config.more_devices.iter().map(|d| d.connection.identity()).collect();
    assert_eq!(
        devices,
        [
            "serial:x#led-strip-colour:5:display",
            "keyboard:usb-x-event-kbd",
            "tcp:10.0.0.7:4001",
            "listen:0.0.0.0:5001#modbus-rtu:1:sensor",
            "push:CJDE193560008",
            "serial:f",
            "tcp:10.0.0.20:9100",
            "serial:m",
        ]
    );
    let places: Vec<_> = config.more_devices.iter().map(|d| d.position.as_str()).collect();
    assert_eq!(
        places[2..6],
        [
            "450103-01-V01-voice",
            "450103-01-S01-sensor",
            "450103-01-A02-attendance",
            "450103-01-A03-attendance"
        ]
    );
    let Connection::Fingerprint { slots, state: 1, .. } = &config.more_devices[5].connection else {
        panic!()
    };
    assert_eq!(
        slots.iter().map(|s| (s.slot, s.employee.as_str())).collect::<Vec<_>>(),
        [(1, "1001"), (2, "1002")]
    );
    assert_eq!(config.more_devices[1].grades.as_ref().unwrap().0[&0x1E], 5);
    assert_eq!(config.push.as_ref().unwrap().allow.len(), 1);
    assert_eq!(config.devices().count(), 12);
    assert!(config.tickets.allow[0].contains("10.0.0.21".parse().unwrap()));
}

#[test]
fn a_device_that_cannot_be_is_refused_where_it_stands() {
    for (from, to, said) in [
        ("name = \"strips\"", "name = \"bus-1\"", "line[0].name: bus-1 is there already"),
        ("role = \"display\"", "role = \"modem\"", "line[0].device[0]: give `name`"),
        ("name = \"V01\"", "name = \"W01\"", "line[2].device[0].name: `W01` is not a name"),
        ("name = \"V01\"", "window = 9", "line[2].device[0].window: there is no window 9"),
        ("name = \"A03\"\npath", "name = \"A02\"\npath", "450103-01-A02-attendance is there already"),
        (
            "name = \"strips\"\npath = \"/dev/x\"\nbaud = 9600",
            "name = \"strips\"\npath = \"/dev/x\"\nbaud = 4800",
            "serves 450103-01-W07-keypad",
        ),
        (
            "path = \"/dev/m\"",
            "path = \"/dev/f\"",
            "modem[0]: this is the device of 450103-01-A03-attendance",
        ),
        ("path = \"/dev/m\"", "path = \"/dev/x\"", "modem[0]: its line serves 450103-01-W07-display"),
        ("allow = [\"10.0.0.8\"]", "", "line[3].device[0].allow: the addresses that may dial in"),
        ("allow = [\"10.0.0.0/24\"]", "allow = [\"x\"]", "attendance_push.allow"),
        (
            "address = \"10.0.0.7:4001\"",
            "address = \"10.0.0.7:4001\"\npath = \"/dev/z\"",
            "line[2]: give one of",
        ),
        ("grades = { 1E = 5, 1F = 1 }", "", "line[1].device[0].grades: say which raw byte"),
        ("slots = { 2 = \"1002\"", "slots = { x = \"1002\"", "fingerprint[0].slots.x: a slot is a number"),
    ] {
        let refused = refusal(from, to);
        assert!(refused.contains(said), "{to}: {refused}");
    }
}

fn refusal(from: &str, to: &str) -> String {
    assert!(FULL.contains(from), "{from}");
    Config::parse(&FULL.replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn an_unknown_setting_is_named_with_the_nearest() {
    assert_eq!(
        refusal("rating_seconds", "ratng_seconds"),
        "window[0].ratng_seconds is not a setting; did you mean rating_seconds?"
    );
    assert_eq!(
        refusal("[[bus.keypad]]", "[[bus.keypads]]"),
        "bus[0].keypads is not a setting; did you mean keypad?"
    );
    assert!(refusal("[video]", "[zzzzzzzzzz]").contains("here there are: hall, centre"));
}

#[test]
fn what_cannot_be_is_refused_where_it_stands() {
    assert!(refusal("450103-01\"\nname", "4501-01\"\nname").starts_with("hall.id: "));
    assert!(refusal("https://127.0.0.1:9443", "http://127.0.0.1:9443").starts_with("centre.url: "));
    assert!(refusal("businesses = [\"社保\"]", "businesses = [\"医保\"]").contains("no [[business]]"));
    assert!(refusal("\"04\" = 5", "\"04\" = 6").contains("bus[0].evaluator[0].grades.04"));
    assert!(
        refusal("window = 7\nname", "window = 9\nname").contains("camera[0].window: there is no window 9")
    );
    let secret = refusal("rtsp://127.0.0.1:554/main", "rtsp://admin:hunter2@127.0.0.1/main");
    assert!(secret.contains("no user or password here") && !secret.contains("hunter2"));
    assert!(refusal("name = \"社保窗口\"", "").contains("name"));
}
