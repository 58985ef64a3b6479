//! What scoring and explaining a row costs: `cargo bench -p cartguard-forest --bench score`.
//!
//! The models are made here, in the shape of the workload's: 100 trees of depth 6 with 27 leaves on average over 90
//! features, with splits that are hard to foresee.

use std::fmt::Write as _;
use std::hint::black_box;

use cartguard_forest::{Format, InstructionSet, Model, Score};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const TREES: usize = 100;
const DEPTH: usize = 6;
const FEATURES: usize = 90;
const ROWS: usize = 4096;

/// A small seeded generator (xorshift); the bench needs no better one.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }
}

/// A tree as lists of children, -1 for none; one way in eight ends early.
struct Tree {
    left: Vec<i64>,
    right: Vec<i64>,
    parent: Vec<i64>,
}

fn tree(random: &mut Random) -> Tree {
    let mut tree = Tree { left: vec![-1], right: vec![-1], parent: vec![2_147_483_647] };
    let mut level = vec![0];
    for depth in 0..DEPTH {
        for node in std::mem::take(&mut level) {
            if depth > 1 && random.unit() < 0.27 {
                continue;
            }
            let next = tree.left.len();
            (tree.left[node], tree.right[node]) = (next as i64, next as i64 + 1);
            for child in [next, next + 1] {
                tree.left.push(-1);
                tree.right.push(-1);
                tree.parent.push(node as i64);
                level.push(child);
            }
        }
    }
    tree
}

fn list<T: std::fmt::Display>(values: impl Iterator<Item = T>) -> String {
    let mut text = String::new();
    for value in values {
        let _ = write!(text, "{}{value}", if text.is_empty() { "" } else { "," });
    }
    format!("[{text}]")
}

fn xgboost() -> String {
    let random = &mut Random(20_261_124);
    let mut trees = Vec::new();
    for id in 0..TREES {
        let tree = tree(random);
        let nodes = tree.left.len();
        let mut cover = vec![0.0_f32; nodes];
        for node in (0..nodes).rev() {
            cover[node] = match tree.left[node] {
                -1 => 1.0 + 100.0 * random.unit(),
                left => cover[left as usize] + cover[tree.right[node] as usize],
            };
        }
        trees.push(format!(
            "{{\"id\":{id},\"tree_param\":{{\"num_nodes\":\"{nodes}\",\"num_feature\":\"{FEATURES}\"}},\
             \"left_children\":{},\"right_children\":{},\"parents\":{},\"split_indices\":{},\
             \"split_conditions\":{},\"default_left\":{},\"sum_hessian\":{}}}",
            list(tree.left.iter()),
            list(tree.right.iter()),
            list(tree.parent.iter()),
            list((0..nodes).map(|_| random.next() % FEATURES as u64)),
            list((0..nodes).map(|_| random.unit() - 0.5)),
            list((0..nodes).map(|_| random.next() % 2)),
            list(cover.iter()),
        ));
    }
    format!(
        "{{\"version\":[3,2,0],\"learner\":{{\"feature_names\":[],\"learner_model_param\":{{\"base_score\":\"[5E-1]\",\
         \"num_class\":\"0\",\"num_feature\":\"{FEATURES}\",\"num_target\":\"1\"}},\
         \"objective\":{{\"name\":\"binary:logistic\"}},\"gradient_booster\":{{\"name\":\"gbtree\",\"model\":{{\
         \"gbtree_model_param\":{{\"num_trees\":\"{TREES}\"}},\"tree_info\":{},\"trees\":[{}]}}}}}}}}",
        list((0..TREES).map(|_| 0)),
        trees.join(",")
    )
}

/// The same shape of trees as `LightGBM` text; `kind` is the decision type.
fn lightgbm(kind: u8) -> String {
    let random = &mut Random(20_261_124);
    let mut text = format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx={}\n\
         objective=binary sigmoid:1\nfeature_names={}\nfeature_infos=none\n\n",
        FEATURES - 1,
        (0..FEATURES).map(|at| format!("f{at}")).collect::<Vec<_>>().join(" ")
    );
    for id in 0..TREES {
        let tree = tree(random);
        let (mut name, mut splits, mut leaves) = (Vec::new(), 0, 0);
        for left in &tree.left {
            if *left == -1 {
                leaves += 1;
                name.push(-leaves);
            } else {
                name.push(splits);
                splits += 1;
            }
        }
        let child = |side: &[i64]| -> String {
            let inner = side.iter().filter(|child| **child != -1);
            inner.map(|child| name[*child as usize].to_string()).collect::<Vec<_>>().join(" ")
        };
        let spaced = |list: Vec<String>| list.join(" ");
        let _ = write!(
            text,
            "Tree={id}\nnum_leaves={leaves}\nnum_cat=0\nsplit_feature={}\nthreshold={}\ndecision_type={}\n\
             left_child={}\nright_child={}\nleaf_value={}\nleaf_count={}\ninternal_count={}\nshrinkage=1\n\n",
            spaced((0..splits).map(|_| (random.next() % FEATURES as u64).to_string()).collect()),
            spaced((0..splits).map(|_| (f64::from(random.unit()) - 0.5).to_string()).collect()),
            spaced((0..splits).map(|_| kind.to_string()).collect()),
            child(&tree.left),
            child(&tree.right),
            spaced((0..leaves).map(|_| (f64::from(random.unit()) - 0.5).to_string()).collect()),
            spaced((0..leaves).map(|_| (1 + random.next() % 100).to_string()).collect()),
            spaced((0..splits).map(|_| "100".to_owned()).collect()),
        );
    }
    text + "end of trees\n"
}

fn logistic() -> String {
    let random = &mut Random(20_261_124);
    format!(
        "{{\"format\":\"cartguard.logistic\",\"version\":1,\"features\":{:?},\"weights\":{},\"intercept\":-1.5}}",
        (0..FEATURES).map(|at| format!("f{at}")).collect::<Vec<_>>(),
        list((0..FEATURES).map(|_| random.unit() - 0.5))
    )
}

fn rows() -> Vec<f32> {
    let random = &mut Random(7);
    (0..ROWS * FEATURES)
        .map(|_| if random.next().is_multiple_of(50) { f32::NAN } else { random.unit() - 0.5 })
        .collect()
}

fn benches(criterion: &mut Criterion) {
    let rows = rows();
    let formats = [
        ("xgboost", Format::XgboostJson, xgboost()),
        ("lightgbm", Format::LightgbmText, lightgbm(10)),
        ("lightgbm zero as missing", Format::LightgbmText, lightgbm(6)),
        ("logistic", Format::LogisticJson, logistic()),
    ];
    for (name, format, text) in &formats {
        let load = || Model::from_bytes(*format, text.as_bytes()).expect("the bench's model loads");
        println!("{name}: {:?}", load().summary());
        let mut group = criterion.benchmark_group(format!("score, {name}"));
        group.throughput(Throughput::Elements(ROWS as u64));
        for set in [InstructionSet::Avx512, InstructionSet::Avx2, InstructionSet::Baseline] {
            let model = load().limited_to(set);
            if model.instruction_set() != set || *name == "logistic" && set != InstructionSet::Avx2 {
                continue;
            }
            let (mut scratch, mut out) = (model.scratch(), vec![Score::default(); ROWS]);
            group.bench_function(format!("{ROWS} rows in blocks, {set:?}"), |bencher| {
                bencher.iter(|| model.score_rows(black_box(&rows), FEATURES, &mut scratch, &mut out));
            });
        }
        let model = load();
        let mut scratch = model.scratch();
        group.bench_function(format!("{ROWS} rows one by one"), |bencher| {
            bencher.iter(|| {
                for row in rows.chunks_exact(FEATURES) {
                    black_box(model.score_one(row, &mut scratch));
                }
            });
        });
        group.finish();
        let mut group = criterion.benchmark_group(format!("explain, {name}"));
        let (mut out, mut next) = (vec![0.0; FEATURES], rows.chunks_exact(FEATURES).cycle());
        group.bench_function("exact", |bencher| {
            bencher.iter(|| model.contributions(next.next().unwrap_or(&rows), &mut scratch, &mut out));
        });
        group.bench_function("path", |bencher| {
            bencher.iter(|| model.path_contributions(next.next().unwrap_or(&rows), &mut scratch, &mut out));
        });
        group.finish();
    }
}

criterion_group!(all, benches);
criterion_main!(all);
