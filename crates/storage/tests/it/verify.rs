//! Verification: silent about what is sound, whatever state it is in; never silent about damage; careful when it repairs.

use std::fs;
use std::sync::Arc;

use runtime::object_store::{ObjectStoreExt, Path};
use runtime::{ErrorKind, Random, SystemClock, Tasks, World};
use storage::Error;
use storage::verify::{Depth, Finding, FindingKind, Options, Repair, Repaired, Summary, verify};

use crate::durability::point;
use crate::model::{Deletion, Question, ask, delete};
use crate::setup::Home;

async fn look_with(
    home: &Home,
    depth: Depth,
    repair: Repair,
) -> Result<(Summary, Vec<Finding>), Error> {
    let world = World {
        clock: Arc::new(SystemClock::new()),
        random: Random::System,
        store: home.store(),
        tasks: Tasks::new(),
    };
    let options = Options {
        node_id: "node".to_string(),
        local_folder: match home {
            Home::Folder(folder) => Some(folder.path().to_path_buf()),
            _ => None,
        },
        depth,
        repair,
    };
    let mut findings = Vec::new();
    let summary = verify(&options, &world, &mut |finding| findings.push(finding)).await?;
    Ok((summary, findings))
}

async fn look(home: &Home) -> (Summary, Vec<Finding>) {
    look_with(home, Depth::Whole, Repair::No)
        .await
        .expect("runs")
}

/// Findings of a kind, by object.
fn of(findings: &[Finding], kind: FindingKind) -> Vec<&str> {
    let wanted = findings.iter().filter(|finding| finding.kind == kind);
    wanted.map(|finding| finding.object.as_str()).collect()
}

/// A node with all kinds of objects: files of several persists, a delete with a list, a log that no file covers.
async fn furnished(home: &Home) {
    let node = home.open().await;
    for round in 0..3 {
        for time in 0..20 {
            let tag = format!("t{}", time % 4);
            node.write(&point("m", &tag, "f", time, 100 * round + time).line())
                .await;
        }
        node.write("other,a=1,z=ü s=\"x\",f=1.5,u=2u,b=true 5\nother s=\"\" 6")
            .await;
        node.engine.persist().await.expect("persist");
    }
    let deletion = Deletion {
        field: Some("f".to_string()),
        ..Deletion::between(3..=5)
    };
    delete(&node, "m", &deletion).await.expect("delete");
    node.write(&point("m", "t1", "f", 1, 1000).line()).await;
    node.write(&point("m", "t2", "g", 1, 1001).line()).await;
    node.drop_engine().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sound_is_clean() {
    for home in [Home::memory(), Home::folder()] {
        let nothing = look_with(&home, Depth::Whole, Repair::No).await;
        assert_eq!(
            nothing.expect_err("nothing is there").kind(),
            ErrorKind::NotFound
        );
        furnished(&home).await;
        let (summary, findings) = look(&home).await;
        assert_eq!(findings, [], "a sound store");
        assert!(summary.is_clean());
        assert!(summary.files > 0 && summary.file_rows > 0 && summary.log_frames >= 2);
        assert_eq!(summary.delete_lists, 1);
        let (fast, findings) = look_with(&home, Depth::Fast, Repair::No)
            .await
            .expect("runs");
        assert_eq!((fast.files, findings), (summary.files, Vec::new()));
        // While a node runs, writes, persists and compacts.
        let node = home.open().await;
        for round in 0..5 {
            node.write(&point("m", "t9", "f", 1, 2000 + round).line())
                .await;
            node.engine.persist().await.expect("persist");
            let (checked, ()) = tokio::join!(look(&home), async {
                node.engine.compact().await.expect("compact");
            });
            assert!(checked.0.is_clean(), "{:?}", checked.1);
        }
        node.close().await;
        assert!(look(&home).await.0.is_clean());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_flipped_byte_goes_unnoticed() {
    let home = Home::memory();
    furnished(&home).await;
    let store = home.store();
    let mut checked = Vec::new();
    for object in home.objects("node").await {
        let path = Path::from(object.as_str());
        let sound = store
            .get(&path)
            .await
            .expect("get")
            .bytes()
            .await
            .expect("bytes");
        if object.contains("/wal/") && sound.len() == 28 {
            // A mark is damaged like any segment's header.
            checked.push("mark");
        }
        let step = (sound.len() / 23).max(1);
        for at in (0..sound.len()).step_by(step).chain([sound.len() - 1]) {
            let mut damaged = sound.to_vec();
            damaged[at] ^= 0x21;
            store.put(&path, damaged.into()).await.expect("put");
            let (summary, findings) = look(&home).await;
            let damage = of(&findings, FindingKind::Damaged);
            let told = damage.contains(&object.as_str()) || is_covered(&findings, &object);
            assert!(told, "{object}, byte {at}: {findings:?}");
            assert!(!summary.is_clean() || is_covered(&findings, &object));
        }
        store.put(&path, sound.into()).await.expect("put");
        checked.extend(object.split('/').nth(1).map(|part| match part {
            "catalog" => "catalog",
            "dbs" => "file",
            "deletes" => "list",
            "wal" => "segment",
            _ => "manifest",
        }));
    }
    for kind in ["catalog", "file", "list", "segment", "manifest"] {
        assert!(checked.contains(&kind), "{kind} in {checked:?}");
    }
    assert_eq!(look(&home).await.1, []);
}

/// A frame whose rows are in files is not decoded, so damage of its payload cannot be and need not be told.
fn is_covered(findings: &[Finding], object: &str) -> bool {
    object.contains("/wal/") && findings.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_cut_short_or_gone_are_told() {
    let home = Home::memory();
    furnished(&home).await;
    let store = home.store();
    let objects = home.objects("node").await;
    for object in &objects {
        let path = Path::from(object.as_str());
        let sound = store
            .get(&path)
            .await
            .expect("get")
            .bytes()
            .await
            .expect("bytes");
        let cut = sound.slice(..sound.len() / 2);
        store.put(&path, cut.into()).await.expect("put");
        let findings = look(&home).await.1;
        let told = findings.iter().any(|finding| finding.object == *object);
        assert!(told, "{object}: {findings:?}");
        store.put(&path, sound.into()).await.expect("put");
    }
    let gone = async |object: &str| {
        let path = Path::from(object);
        let sound = store
            .get(&path)
            .await
            .expect("get")
            .bytes()
            .await
            .expect("bytes");
        store.delete(&path).await.expect("delete");
        let findings = look(&home).await.1;
        store.put(&path, sound.into()).await.expect("put");
        findings
    };
    for object in &objects {
        let findings = gone(object).await;
        if object.contains("/dbs/") || object.contains("/deletes/") {
            assert_eq!(
                of(&findings, FindingKind::Missing),
                [object],
                "{findings:?}"
            );
        }
    }
    // From the middle of each row of numbers.
    let among = |part: &str| {
        let all: Vec<&String> = objects
            .iter()
            .filter(|object| object.contains(part))
            .collect();
        all[all.len() / 2].clone()
    };
    let log = objects.iter().filter(|object| object.contains("/wal/"));
    let log: Vec<&String> = log.collect();
    let before_last = log[log.len() - 2].as_str();
    for object in [&among("/catalog/log/"), &among("/snapshots/"), before_last] {
        let findings = gone(object).await;
        assert_eq!(
            of(&findings, FindingKind::Gap).len(),
            1,
            "{object}: {findings:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_was_cut_off_is_no_damage() {
    let home = Home::folder();
    let node = home.open().await;
    for time in 0..5 {
        node.write(&point("m", "a", "f", 1, time).line()).await;
    }
    node.drop_engine().await;
    let segment = home.only_segment().await;
    let whole = fs::read(&segment).expect("read");
    let frame = (whole.len() - 28) / 5;
    for cut in [1, 23, 24, frame - 1] {
        let mut bytes = whole[..whole.len() - cut].to_vec();
        fs::write(&segment, &bytes).expect("cut");
        let (summary, findings) = look(&home).await;
        assert!(summary.is_clean(), "{findings:?}");
        assert_eq!(
            of(&findings, FindingKind::Note).len(),
            1,
            "{cut}: {findings:?}"
        );
        // Bytes that the disk never got.
        bytes.truncate(whole.len() - frame);
        bytes.resize(whole.len(), 0);
        fs::write(&segment, &bytes).expect("cut");
        assert!(look(&home).await.0.is_clean());
    }
    // The same in the middle is damage, and so is a copy of what was.
    let mut bytes = whole.clone();
    bytes[28 + frame] ^= 1;
    fs::write(&segment, &bytes).expect("damage");
    assert!(!look(&home).await.0.is_clean());
    let copied = [&whole[..], &whole[28..28 + frame]].concat();
    fs::write(&segment, copied).expect("damage");
    assert!(!look(&home).await.0.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_are_told_and_removed_only_when_asked() {
    let home = Home::folder();
    furnished(&home).await;
    let root = home.path().join("node");
    let leftovers = [
        "dbs/1/1/00000000000000000077.parquet",
        "dbs/1/1/00000000004294967296.parquet#12000001",
        "deletes/00000000000000000078.rows",
        "wal/00000000099.wal.damaged",
    ];
    let strangers = ["notes.txt", "wal/copy.wal", "dbs/1/1/table.parquet"];
    for name in leftovers.iter().chain(&strangers) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        fs::write(path, "left").expect("write");
    }
    let names = |names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(|name| format!("node/{name}")).collect();
        names.sort();
        names
    };
    let orphans = |findings: &[Finding], repaired| {
        let mut found: Vec<String> = findings
            .iter()
            .filter(|finding| finding.kind == FindingKind::Orphan && finding.repaired == repaired)
            .map(|finding| finding.object.clone())
            .collect();
        found.sort();
        found
    };
    let (summary, findings) = look(&home).await;
    let all: Vec<&str> = leftovers.iter().chain(&strangers).copied().collect();
    assert_eq!(orphans(&findings, Repaired::No), names(&all));
    assert!(!summary.is_clean());

    // A server that runs may be about to name them.
    let node = home.open().await;
    let busy = look_with(&home, Depth::Fast, Repair::WhenAlone).await;
    assert_eq!(busy.expect_err("a server runs").kind(), ErrorKind::Conflict);
    let before = ask(&node, "m", &Question::all(1)).await;
    node.drop_engine().await;
    for name in leftovers {
        // The start has cleaned up, too.
        fs::write(root.join(name), "left").expect("write");
    }

    let (summary, findings) = look_with(&home, Depth::Fast, Repair::WhenAlone)
        .await
        .expect("runs");
    assert_eq!(orphans(&findings, Repaired::Removed), names(&leftovers));
    assert_eq!(orphans(&findings, Repaired::No), names(&strangers));
    assert_eq!(summary.repaired, leftovers.len() as u64);
    let (_, findings) = look(&home).await;
    assert_eq!(orphans(&findings, Repaired::No), names(&strangers));
    let node = home.open().await;
    assert_eq!(ask(&node, "m", &Question::all(1)).await, before);
    node.drop_engine().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_takes_nothing_that_may_be_live() {
    let home = Home::folder();
    furnished(&home).await;
    let files = home.objects("node/dbs").await;
    let catalog = home.objects("node/catalog/log").await;
    let manifest = home.objects("node/snapshots").await;
    for damaged in [&catalog[0], manifest.last().expect("changes")] {
        let copy = home.copy();
        let path = copy.path().join(damaged);
        let mut bytes = fs::read(&path).expect("read");
        bytes[20] ^= 1;
        fs::write(&path, bytes).expect("damage");
        let (summary, findings) = look_with(&copy, Depth::Whole, Repair::WhenAlone)
            .await
            .expect("runs");
        assert_eq!(summary.repaired, 0, "{findings:?}");
        assert_eq!(copy.objects("node/dbs").await, files);
    }
    // A store without a lock must be forced.
    let remote = Home::memory();
    furnished(&remote).await;
    let refused = look_with(&remote, Depth::Fast, Repair::WhenAlone).await;
    assert_eq!(
        refused.expect_err("nobody knows").kind(),
        ErrorKind::Invalid
    );
    let store = remote.store();
    let orphan = Path::from("node/dbs/1/1/00000000000000000077.parquet");
    store.put(&orphan, "left".into()).await.expect("put");
    // As long as it is young, it may be on its way.
    let (summary, _) = look(&remote).await;
    assert!(summary.is_clean());
    let (summary, _) = look_with(&remote, Depth::Fast, Repair::Forced)
        .await
        .expect("runs");
    assert_eq!(summary.repaired, 1);
    assert!(store.head(&orphan).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_segments_are_set_aside_when_nothing_is_lost() {
    let home = Home::folder();
    let node = home.open().await;
    node.write(&point("m", "a", "f", 1, 1).line()).await;
    let first = home.only_segment().await;
    let bytes = fs::read(&first).expect("read");
    node.engine.persist().await.expect("persist");
    node.write(&point("m", "a", "f", 1, 2).line()).await;
    node.drop_engine().await;
    // The first segment once more, with its frame header damaged: covered, and of no use.
    let mut damaged = bytes.clone();
    damaged[30] ^= 1;
    fs::write(&first, &damaged).expect("write");
    let (_, findings) = look(&home).await;
    assert_eq!(of(&findings, FindingKind::Damaged).len(), 1, "{findings:?}");
    let (summary, findings) = look_with(&home, Depth::Whole, Repair::WhenAlone)
        .await
        .expect("runs");
    assert_eq!(summary.repaired, 1, "{findings:?}");
    assert!(!first.exists());
    assert_eq!(
        fs::read(first.with_extension("wal.damaged")).expect("set aside"),
        damaged
    );
    // The newest holds a write: it stays, whatever its state.
    let last = home.only_segment().await;
    let mut bytes = fs::read(&last).expect("read");
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    fs::write(&last, bytes).expect("damage");
    look_with(&home, Depth::Whole, Repair::WhenAlone)
        .await
        .expect("runs");
    assert!(last.exists());
}
