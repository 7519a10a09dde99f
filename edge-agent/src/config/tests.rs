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
[[business]]
name = "社保"
prefix = "A"
priority = 0
[[window]]
number = 7
name = "社保窗口"
businesses = ["社保"]
rating_seconds = 8
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
    let roles: Vec<_> = config.position_entries().into_iter().map(|p| p.role).collect();
    assert_eq!(roles, ["keypad", "evaluator", "ticket", "attendance"]);
    assert_eq!(config.camera_entries()[0].url, "rtsp://127.0.0.1:554/main");
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
        refusal("window = 7\nname", "window = 8\nname").contains("camera[0].window: there is no window 8")
    );
    let secret = refusal("rtsp://127.0.0.1:554/main", "rtsp://admin:hunter2@127.0.0.1/main");
    assert!(secret.contains("no user or password here") && !secret.contains("hunter2"));
    assert!(refusal("name = \"社保窗口\"", "").contains("name"));
}
