//! Microbenchmarks of the parser: what a line costs, with and without its tags. Run by `cargo xtask perf`.
//!
//! Not here: what a line costs a server (`bench load`), and whether it is read right (tests).

mod cpu;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use line_protocol::{Parser, Series};

use cpu::Cpu;

fn parse(criterion: &mut Criterion) {
    let rows = Cpu::new(1_000, 10);
    let text = rows.lines(0..rows.epochs);
    let mut group = criterion.benchmark_group("line_protocol");
    group.throughput(Throughput::Elements(rows.rows() as u64));
    let mut fields = Vec::new();
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            let mut parser = Parser::new(&text);
            while let Some(line) = parser.next_line(&mut fields) {
                black_box(line.expect("a sound line"));
                black_box(&fields);
            }
        });
    });
    // What a series that was never met before costs besides.
    group.bench_function("parse_with_tags", |bencher| {
        bencher.iter(|| {
            let mut parser = Parser::new(&text);
            while let Some(line) = parser.next_line(&mut fields) {
                let line = line.expect("a sound line");
                black_box(Series::parse(&line).expect("sound tags"));
                black_box(&fields);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
