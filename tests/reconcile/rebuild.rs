//! `project --rebuild`: a new copy from the log's files.

use std::path::Path;
use std::time::{Duration, Instant};

use doorbuster::projection::StoreConfig;
use serde_json::Value;

use crate::databases::Database;
use crate::house::{Ended, House, ended};
use crate::mix::Mix;
use crate::projecting;
use crate::server::{Server, doorbuster};

/// Another database of the same kind.
fn another(database: &Database) -> Database {
    match database {
        Database::Sqlite(_) => Database::sqlite(),
        Database::Postgres(server, _) => Database::postgres(server),
    }
}

fn rebuild(data_dir: &Path, new: &Database) -> Ended {
    let mut command = doorbuster(&["project", "--rebuild", "--data-dir"]);
    command.arg(data_dir).args(place_of(new));
    ended(command)
}

fn place_of(database: &Database) -> Vec<String> {
    match (database, database.config()) {
        (_, StoreConfig::Sqlite { path }) => vec!["--to".into(), path.display().to_string()],
        (Database::Postgres(server, _), StoreConfig::Postgres { schema, .. }) => {
            let url = server.url("rebuild");
            vec!["--to".into(), url, "--schema".into(), schema.as_str().to_owned()]
        }
        _ => unreachable!("a database has its own kind of settings"),
    }
}

pub(crate) fn a_new_copy_is_filled_goes_on_and_the_projector_goes_on_from_it(old: Database) {
    let new = another(&old);
    let mut house = House::new(1, old);
    let mut mix = Mix::new(&mut house.log);
    mix.more(&mut house.log, 100);
    // What an interruption leaves: a copy that ends somewhere.
    house.log.sync();
    projecting::project(&new.config(), &house.log.reader());
    let begun = new.number("SELECT sequence FROM progress");
    mix.more(&mut house.log, 300);
    house.prove();
    let proven = house.log.reader().durable().get() - 1;
    let told = rebuild(&house.data_dir(), &new);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("no difference\n\nto use it: stop the server"), "{told:?}");
    assert!(told.out.contains(&format!("it goes on from record {proven}\n")), "{told:?}");
    assert!(begun < proven && new.number("SELECT sequence FROM progress") == proven);
    let told = rebuild(&house.data_dir(), &new);
    assert_eq!(told.code, 0, "once more, with nothing to do: {told:?}");
    // The switch: the projector of the running log takes the new copy over.
    mix.more(&mut house.log, 100);
    house.database = new;
    house.project();
    let (code, found) = house.reconcile();
    assert_eq!((code, &found["difference_count"]), (0, &Value::from(0)), "{found}");
    assert!(found["database_sequence"].as_u64().unwrap() > proven + 100);
}

pub(crate) fn a_place_with_other_tables_is_refused(old: Database) {
    let (of_another, foreign) = (another(&old), another(&old));
    let mut house = House::new(1, old);
    house.log.create("hat", 10, |_| ());
    house.project();
    let mut other = House::new(2, of_another);
    other.log.create("hat", 10, |_| ());
    other.project();
    let told = rebuild(&house.data_dir(), &other.database);
    assert_ne!(told.code, 0);
    assert!(told.err.contains("holds the journal 0202"), "{told:?}");
    let make = "CREATE TABLE customers (id integer)";
    let schema = match foreign.config() {
        StoreConfig::Postgres { schema, .. } => schema.as_str().to_owned(),
        StoreConfig::Sqlite { .. } => String::new(),
    };
    foreign.execute(make, &format!("CREATE SCHEMA {schema}; {make}"));
    let told = rebuild(&house.data_dir(), &foreign);
    assert_eq!(told.code, 2);
    assert!(told.err.contains("holds the table customers, which is not doorbuster's"), "{told:?}");
}

/// Waits until the tables have every record that was answered.
fn caught_up(server: &Server) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let metrics = server.get("/metrics").unwrap();
        assert_eq!(metrics.status, 200);
        let ready = server.get("/readyz").unwrap();
        assert_eq!(ready.body["degraded"], Value::Array(Vec::new()), "{ready:?}");
        let history = server.get("/v1/products/hat/history?limit=1").unwrap();
        let stock = server.get("/v1/products/hat/stock").unwrap();
        if history.body["movements"][0]["version"] == stock.body["version"] {
            return;
        }
        assert!(Instant::now() < until, "{history:?} {stock:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn a_copy_made_beside_a_running_server_takes_the_place_of_the_old(old: Database) {
    let place = tempfile::TempDir::new().unwrap();
    // A name that a shell takes apart.
    let data_dir = place.path().join("my data");
    let (first, second) = match &old {
        Database::Sqlite(_) => (Vec::new(), Vec::new()),
        Database::Postgres(..) => (serve_with(&old), serve_with(&another(&old))),
    };
    let server = start(&data_dir, &first);
    server.create("hat", 100);
    for number in 0..20 {
        assert_eq!(server.buy("hat", &format!("b{number}")).status, 201);
    }
    let new = place.path().join("my new.sqlite");
    let mut command = doorbuster(&["project", "--rebuild", "--data-dir"]);
    command.arg(&data_dir);
    match second.as_slice() {
        [_, url, _, schema] => command.args(["--to", url, "--schema", schema]),
        _ => command.arg("--to").arg(&new),
    };
    let told = ended(command);
    assert_eq!(told.code, 0, "{told:?}");
    // Sales go on while the copy is made and after.
    for number in 20..30 {
        assert_eq!(server.buy("hat", &format!("b{number}")).status, 201);
    }
    assert!(server.terminate().0.success());
    if second.is_empty() {
        // As the command said.
        let script: String =
            told.out.lines().filter(|line| line.starts_with("  ")).collect::<Vec<_>>().join("\n");
        assert!(
            std::process::Command::new("sh").arg("-ec").arg(&script).status().unwrap().success(),
            "{script}"
        );
        assert!(!new.exists() && data_dir.join("doorbuster.sqlite.old").exists());
    } else {
        assert!(told.out.contains(&format!("--database-schema {}\n", second[3])), "{told:?}");
    }
    let server = start(&data_dir, &second);
    assert_eq!(server.buy("hat", "last").status, 201);
    caught_up(&server);
    let mut command = doorbuster(&["reconcile", "--json", "--data-dir"]);
    command.arg(&data_dir).args(&second);
    let told = ended(command);
    assert_eq!(told.code, 0, "{told:?}");
    let found: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(
        (&found["rows"]["orders"], &found["difference_count"]),
        (&Value::from(31), &Value::from(0))
    );
    assert!(server.terminate().0.success());
}

fn start(data_dir: &Path, arguments: &[String]) -> Server {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Server::start(data_dir, &arguments)
}

fn serve_with(database: &Database) -> Vec<String> {
    let (Database::Postgres(server, _), StoreConfig::Postgres { schema, .. }) =
        (database, database.config())
    else {
        return Vec::new();
    };
    let url = server.url("serve");
    vec!["--database-url".into(), url, "--database-schema".into(), schema.as_str().to_owned()]
}
