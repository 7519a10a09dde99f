//! The positions' file, and what a TOML file may still say once people have paired.

use super::positions::*;
use crate::{
    config::Config,
    devices::{Connection, Role},
};
use control_protocol::UtcMillis;

const CONFIG: &str = r#"
[hall]
id = "450103-01"
name = "x"
data = "/nowhere"
[centre]
url = "https://127.0.0.1:1"
[[window]]
number = 7
name = "七"
[[window]]
number = 8
name = "八"
[[bus]]
name = "bus-1"
path = "/dev/ttyA"
[[bus.keypad]]
window = 7
address = 3
[[bus.evaluator]]
window = 7
address = 3
grades = { "04" = 5, "00" = 1 }
"#;

fn evaluator(address: u8) -> Connection {
    Connection::BusEvaluator {
        port: "/dev/ttyB".into(),
        baud: 9600,
        address,
        ack_form: crate::config::AckForm::A,
    }
}

#[tokio::test]
async fn a_file_starts_a_node_and_what_was_paired_wins() {
    let data = tempfile::tempdir().unwrap();
    let store = Positions::open(data.path()).unwrap();
    let config = Config::parse(CONFIG).unwrap();
    let first = config.clone();
    let all_now = store
        .run(move |tx| {
            take_from_config(tx, &first, UtcMillis(1))?;
            all(tx)
        })
        .await
        .unwrap();
    assert_eq!(all_now.len(), 2);
    // Nobody said who confirmed the map.
    assert!(!all_now[0].confirmed() && all_now[0].role == Role::Evaluator);
    assert!(all_now[1].confirmed());

    // What nobody touched follows the file.
    let changed =
        Config::parse(&CONFIG.replace("\"00\" = 1 }", "\"00\" = 1 }\ngrades_confirmed_by = \"li\"")).unwrap();
    let (now, history_now) = store
        .run(move |tx| {
            take_from_config(tx, &changed, UtcMillis(2))?;
            take_from_config(tx, &changed, UtcMillis(3))?;
            Ok::<_, StoreFailed>((all(tx)?, history(tx, "450103-01-W07-evaluator")?))
        })
        .await
        .unwrap();
    assert!(now[0].confirmed());
    assert_eq!(history_now.len(), 2);
    assert_eq!(history_now[1].to, Some(UtcMillis(2)));

    // What was paired does not.
    let paired = evaluator(9);
    let bound = paired.clone();
    let (now, history_now) = store
        .run(move |tx| {
            let id = "450103-01-W07-evaluator".parse().unwrap();
            make(tx, &id, None, Role::Evaluator, false, UtcMillis(4))?;
            unbind(tx, &id, UtcMillis(4))?;
            let new = NewBinding {
                identity: &bound.identity(),
                serial: None,
                connection: &bound,
                grades: None,
                why: "replaced",
                by: "li",
                visit: Some("v"),
            };
            bind(tx, &id, &new, UtcMillis(4))?;
            take_from_config(tx, &config, UtcMillis(5))?;
            Ok::<_, StoreFailed>((one(tx, "450103-01-W07-evaluator")?.unwrap(), history(tx, id.as_str())?))
        })
        .await
        .unwrap();
    assert_eq!(now.binding.unwrap().connection, paired);
    assert_eq!(history_now.len(), 3);
    // A second device at one place is refused by the file itself.
    let again = store
        .run(move |tx| {
            let id = "450103-01-W07-evaluator".parse().unwrap();
            let connection = evaluator(10);
            let new = NewBinding {
                identity: "x",
                serial: None,
                connection: &connection,
                grades: None,
                why: "paired",
                by: "li",
                visit: None,
            };
            bind(tx, &id, &new, UtcMillis(6))
        })
        .await;
    assert!(again.is_err());
}

#[tokio::test]
async fn what_was_taken_back_stands_as_it_was() {
    let data = tempfile::tempdir().unwrap();
    let store = Positions::open(data.path()).unwrap();
    let position = store
        .run(|tx| {
            let id = "450103-01-W07-evaluator".parse().unwrap();
            make(tx, &id, None, Role::Evaluator, false, UtcMillis(1))?;
            let connection = evaluator(9);
            let map = GradeMap::from([(4, 5)]);
            let new = NewBinding {
                identity: "x",
                serial: Some("SN1"),
                connection: &connection,
                grades: Some((&map, Some("li"))),
                why: "paired",
                by: "li",
                visit: None,
            };
            let n = bind(tx, &id, &new, UtcMillis(1))?;
            assert_eq!(unbind(tx, &id, UtcMillis(2))?, Some(n));
            assert_eq!(unbind(tx, &id, UtcMillis(2))?, None);
            bind_again(tx, &id, n, "wang", "v", UtcMillis(3))?;
            one(tx, id.as_str())
        })
        .await
        .unwrap()
        .unwrap();
    let binding = position.binding.as_ref().unwrap();
    assert_eq!((binding.serial.as_deref(), binding.by.as_str()), (Some("SN1"), "wang"));
    assert!(position.confirmed());
}
