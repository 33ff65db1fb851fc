//! The tools beside a server that sells without pause: they agree with it, and never hear of what is
//! not proven; `wal dump --follow` gives every record once.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use crate::house::House;
use crate::server::{Server, doorbuster};

/// `wal dump --follow`, and its lines.
struct Follower {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn start(house: &House, words: &[&str]) -> Self {
        let mut command = doorbuster(&["wal", "dump", "--follow", "--data-dir"]);
        command.arg(house.data_dir()).args(words).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> Option<Value> {
        self.lines.next().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    }

    fn terminate(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

/// Ends the sale.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn tools_work_beside_a_sale_and_a_follower_misses_nothing() {
    let house = House::new();
    let last = house.lines(&[]).len() as u64;
    let data_dir = house.data_dir();
    // Segments close often, are snapshotted and archived meanwhile.
    let server = Server::start(&data_dir, &["--snapshot-segments", "1"]);
    let (ends, sold) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut follower = Follower::start(&house, &["--from", &(last - 3).to_string()]);
    std::thread::scope(|scope| {
        for buyer in 0..2 {
            let (server, ends, sold) = (&server, &ends, &sold);
            scope.spawn(move || {
                for number in 0.. {
                    if ends.load(Ordering::SeqCst) {
                        break;
                    }
                    // Sold out is an answer, too.
                    let answer = server.buy("hat", &format!("live-{buyer}-{number}"));
                    sold.fetch_add(u64::from(answer.status == 201), Ordering::SeqCst);
                }
            });
        }
        // Also when something here fails: the scope waits for those who sell.
        let _over = Over(&ends);
        for _ in 0..4 {
            let known = sold.load(Ordering::SeqCst);
            let verified = house.json(&["wal", "verify"]);
            let watermark = verified["durable_watermark"].as_u64().unwrap();
            let state = house.json(&["state", "--as-of", &watermark.to_string()]);
            let hash = &state["state_hash"];
            assert_eq!(&verified["state"]["state_hash"], hash, "sold {known} before");
            let dumped = house.lines(&["--kind", "order_placed", "--to", &watermark.to_string()]);
            assert!(!dumped.is_empty());
            house.run(&["wal", "inspect"]).check(0, &["proven durable up to"]);
            // Whether anything could be deleted depends on how far the archive is.
            let pruned = house.run(&["wal", "prune", "--before", "now"]);
            let said = format!("{}{}", pruned.out, pruned.err);
            assert!(pruned.exit <= 1 && said.contains("nothing was deleted"), "{said}");
        }
    });
    let orders = house.json(&["state", "--as-of", "now"]);
    // The last order is followed by a watermark a moment later, and a follower waits for it.
    let mut expected = last - 3;
    let sold = sold.into_inner();
    let mut live = 0;
    while live < sold {
        let record = follower.next().expect("it goes on");
        assert_eq!(record["sequence"].as_u64(), Some(expected), "{record}");
        let is_live = record["buyer_id"].as_str().is_some_and(|buyer| buyer.starts_with("live-"));
        live += u64::from(record["kind"] == "order_placed" && is_live);
        expected += 1;
    }
    assert!(sold > 0 && orders["sequence"].as_u64().unwrap() > last);
    follower.terminate();
    while follower.next().is_some() {}
    assert_eq!(follower.child.wait().unwrap().code(), Some(0), "a signal ends it well");

    // Whoever stops reading ends it as well, though nothing comes any more.
    let mut follower = Follower::start(&house, &["--limit", "1000000"]);
    assert!(follower.next().is_some());
    let Follower { mut child, lines } = follower;
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0), "a closed pipe ends it well");
    assert_eq!(server.terminate().0.code(), Some(0));
}
