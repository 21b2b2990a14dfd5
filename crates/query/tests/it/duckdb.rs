//! Answers compared with DuckDB's over the same rows, exported as Parquet, for SQL that both read alike (`testdata/duckdb.txt`).
//!
//! `GNOMON_PYTHON` names a Python with `duckdb`; then a missing library fails the test. Without it `python3` is tried, and the
//! comparison passed over, aloud, where that lacks it. The comparing is done by `compat/duckdb_answers.py`.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use arrow::array::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;

use crate::node::Node;

/// Rows that meet in keys, lack fields and tags, and lie in files and in the buffer.
async fn node() -> Node {
    let node = Node::start().await;
    for round in 0..3_u32 {
        let mut lines = Vec::new();
        for at in 0..200_u32 {
            let (host, region) = (at % 7, at % 3);
            let tags = match region {
                0 => format!("host=h{host}"),
                region => format!("host=h{host},region=r{region}"),
            };
            let usage = f64::from((at * 37 + round * 11) % 101) / 8.0 - 3.0;
            let fields = match (at + round) % 4 {
                0 => format!("usage={usage}"),
                1 => format!("usage={usage},n={}i,ok={}", at * round, at % 2 == 0),
                2 => format!("n=-{at}i,note=\"a {at}\""),
                _ => format!("usage={usage},n={at}i,note=\"\""),
            };
            lines.push(format!(
                "cpu,{tags} {fields} {}",
                1_767_200_000 + at / 7 * 600
            ));
        }
        for at in 0..20_u32 {
            lines.push(format!(
                "machine,name=h{} owner=\"o{}\",cores={}i {}",
                at % 9,
                at % 4,
                at % 9 * 2,
                1_767_200_000 + round
            ));
        }
        node.write("db", &lines.join("\n")).await;
        if round < 2 {
            node.storage.persist().await.expect("the store works");
        }
    }
    node
}

fn export(path: &Path, rows: &[RecordBatch]) {
    let Some(first) = rows.first() else {
        return;
    };
    let file = File::create(path).expect("the folder can be written");
    let mut writer = ArrowWriter::try_new(file, first.schema(), None).expect("a Parquet schema");
    for batch in rows {
        writer.write(batch).expect("the disk has room");
    }
    writer.close().expect("the disk has room");
}

#[tokio::test]
async fn answers_are_those_of_duckdb() {
    let folder = std::env::temp_dir().join(format!("gnomon-duckdb-{}", std::process::id()));
    fs::create_dir_all(folder.join("tables")).expect("a folder for temporary files");
    let node = node().await;
    for table in ["cpu", "machine"] {
        let text = format!("SELECT * FROM {table}");
        let (_, rows) = node.query("db", &text, Vec::new()).await.expect("rows");
        export(
            &folder.join("tables").join(format!("{table}.parquet")),
            &rows,
        );
    }
    let statements = include_str!("../../testdata/duckdb.txt").trim();
    let mut count = 0;
    for statement in statements
        .split("\n\n")
        .filter(|block| !block.starts_with('#'))
    {
        let answer = node.query("db", statement, Vec::new()).await;
        let (_, rows) = answer.unwrap_or_else(|fault| panic!("{statement}: {fault}"));
        count += 1;
        let name = folder.join(format!("{count:03}"));
        fs::write(name.with_extension("sql"), statement).expect("the folder can be written");
        export(&name.with_extension("parquet"), &rows);
    }
    node.stop().await;
    assert!(count > 0);
    let outcome = compare(&folder);
    fs::remove_dir_all(&folder).expect("the folder is ours");
    outcome.expect("equal answers");
}

/// Past what holds back the output of tests that pass.
fn say(text: &str) {
    // Nobody need listen.
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}

fn compare(folder: &Path) -> Result<(), String> {
    let named = std::env::var_os("GNOMON_PYTHON");
    let python = named.clone().unwrap_or_else(|| "python3".into());
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../compat/duckdb_answers.py"
    );
    let output = match Command::new(&python).arg(script).arg(folder).output() {
        Ok(output) => output,
        Err(fault) if named.is_some() => return Err(format!("{}: {fault}", python.display())),
        Err(fault) => {
            say(&format!("skipped: python3 is not installed: {fault}"));
            return Ok(());
        }
    };
    match output.status.code() {
        Some(0) => Ok(()),
        Some(77) if named.is_none() => {
            say(&String::from_utf8_lossy(&output.stdout));
            Ok(())
        }
        code => Err(format!(
            "exit code {code:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
