//! Files that are refused, each with the words that name the place: tree, node, key.

use std::path::PathBuf;

use cartguard_forest::{Format, MODEL_BYTES_MAX, Model, ModelError};

fn golden(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name);
    std::fs::read(path).expect("golden files are committed")
}

fn error(format: Format, bytes: &[u8]) -> String {
    match Model::from_bytes(format, bytes) {
        Ok(_) => panic!("was accepted"),
        Err(error) => error.to_string(),
    }
}

/// Replaces the first `from` of a golden file by `to` and checks that the message holds all of `words`.
fn refuse(format: Format, name: &str, from: &str, to: &str, words: &[&str]) {
    let text = String::from_utf8(golden(name)).expect("a text format");
    assert!(text.contains(from), "{name} has no {from}");
    let error = error(format, text.replacen(from, to, 1).as_bytes());
    for word in words {
        assert!(error.contains(word), "{from} -> {to}: \"{error}\" does not say \"{word}\"");
    }
}

/// A tree of five nodes, in `XGBoost` JSON: 0 -> 1, 2; 1 -> 3, 4.
fn small(from: &str, to: &str) -> String {
    let text = r#"{"version":[3,2,0],"learner":{"attributes":{"best_iteration":"0"},"feature_names":[],
        "feature_types":[],"learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"2"},
        "objective":{"name":"binary:logistic","anything":{"new":1}},"gradient_booster":{"name":"gbtree","model":{
        "gbtree_model_param":{"num_trees":"1"},"tree_info":[0],"trees":[{"id":0,
        "tree_param":{"num_nodes":"5","num_feature":"2","size_leaf_vector":"1"},
        "left_children":[1,3,-1,-1,-1],"right_children":[2,4,-1,-1,-1],"parents":[2147483647,0,0,1,1],
        "split_indices":[0,1,0,0,0],"split_conditions":[0.5,1.5,0.1,0.2,0.3],"default_left":[1,0,0,0,0],
        "sum_hessian":[9.0,5.0,4.0,3.0,2.0]}]}}}}"#;
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn refuse_small(from: &str, to: &str, words: &[&str]) {
    let error = error(Format::XgboostJson, small(from, to).as_bytes());
    for word in words {
        assert!(error.contains(word), "{from} -> {to}: \"{error}\" does not say \"{word}\"");
    }
}

#[test]
fn the_small_model_itself_is_accepted() {
    let model = Model::from_bytes(Format::XgboostJson, small("5E-1", "[5E-1]").as_bytes()).expect("loads");
    let score = model.score_one(&[0.0, 1.5], &mut model.scratch());
    assert_eq!((score.margin as f32).to_bits(), 0.3_f32.to_bits());
}

#[test]
fn broken_trees_are_refused_with_tree_and_node() {
    refuse_small("[1,3,-1,-1,-1]", "[1,9,-1,-1,-1]", &["tree 0", "node 9", "5 nodes"]);
    refuse_small("[1,3,-1,-1,-1]", "[1,-3,-1,-1,-1]", &["tree 0", "node -3"]);
    refuse_small("[1,3,-1,-1,-1]", "[1,0,-1,-1,-1]", &["tree 0", "node 0"]);
    refuse_small("[1,3,-1,-1,-1]", "[1,4,-1,-1,-1]", &["tree 0", "node 4", "two parents"]);
    refuse_small("[1,3,-1,-1,-1]", "[1,-1,-1,-1,-1]", &["tree 0", "node 1", "one child"]);
    refuse_small("0,0,1,1]", "0,0,1,0]", &["tree 0", "node 4", "parent"]);
    refuse_small("\"split_indices\":[0,1", "\"split_indices\":[0,2", &["tree 0", "node 1", "feature 2"]);
    refuse_small("\"split_indices\":[0,1", "\"split_indices\":[-7,1", &["tree 0", "node 0", "feature -7"]);
    refuse_small("[0.5,1.5", "[0.5,NaN", &["tree 0", "node 1", "NaN"]);
    refuse_small("0.2,0.3]", "0.2,Infinity]", &["tree 0", "node 4", "inf"]);
    refuse_small("3.0,2.0]", "3.0,-2.0]", &["tree 0", "node 4", "cover"]);
    refuse_small("\"num_nodes\":\"5\"", "\"num_nodes\":\"6\"", &["tree 0", "num_nodes"]);
    refuse_small("[9.0,5.0,", "[5.0,", &["tree 0", "sum_hessian", "4 entries"]);
    refuse_small("\"num_trees\":\"1\"", "\"num_trees\":\"2\"", &["num_trees", "1 trees"]);
    // Node 2 leads to itself and is its own parent; nothing leads from the root to 3.
    let cycle = small("[1,3,-1,-1,-1]", "[1,-1,3,-1,-1]")
        .replacen("[2,4,-1,-1,-1]", "[2,-1,4,-1,-1]", 1)
        .replacen("0,0,1,1]", "0,0,2,2]", 1);
    assert!(Model::from_bytes(Format::XgboostJson, cycle.as_bytes()).is_ok());
    let unreached = small("[1,3,-1,-1,-1]", "[1,-1,-1,-1,-1]").replacen("[2,4,", "[2,-1,", 1);
    let text = error(Format::XgboostJson, unreached.as_bytes());
    assert!(text.contains("node 3") && text.contains("never reached"), "{text}");
}

#[test]
fn a_tree_of_absurd_depth_is_refused() {
    let depth = 2000;
    let list = |of: &dyn Fn(i64) -> String| (0..=2 * depth).map(of).collect::<Vec<_>>().join(",");
    // Even nodes split into the next odd one, a leaf, and the next even one.
    let last = 2 * depth;
    let child = |step: i64| move |at: i64| if at % 2 == 0 && at < last { at + step } else { -1 }.to_string();
    let text = small("[1,3,-1,-1,-1]", &format!("[{}]", list(&child(1))))
        .replacen("[2,4,-1,-1,-1]", &format!("[{}]", list(&child(2))), 1)
        .replacen("2147483647,0,0,1,1", &list(&|at| ((at - 1) / 2 * 2).to_string()), 1)
        .replacen("[0,1,0,0,0]", &format!("[{}]", list(&|_| "0".into())), 1)
        .replacen("0.5,1.5,0.1,0.2,0.3", &list(&|_| "0.5".into()), 1)
        .replacen("\"default_left\":[1,0,0,0,0]", &format!("\"default_left\":[{}]", list(&|_| "0".into())), 1)
        .replacen("9.0,5.0,4.0,3.0,2.0", &list(&|_| "1.0".into()), 1)
        .replacen("\"num_nodes\":\"5\"", &format!("\"num_nodes\":\"{}\"", 2 * depth + 1), 1);
    let text = error(Format::XgboostJson, text.as_bytes());
    assert!(text.contains("tree 0, node 1025: lies deeper than 512"), "{text}");
}

#[test]
fn what_is_not_scored_is_refused_by_name() {
    refuse_small("\"num_class\":\"0\"", "\"num_class\":\"3\"", &["multi-class", "num_class 3"]);
    refuse_small("\"num_feature\":\"2\"}", "\"num_feature\":\"2\",\"num_target\":\"2\"}", &["multi-target"]);
    refuse_small("\"gbtree\"", "\"gblinear\"", &["booster `gblinear`", "gbtree and dart"]);
    refuse_small("binary:logistic", "rank:pairwise", &["rank:pairwise", "binary:logistic"]);
    refuse_small("binary:logistic", "count:poisson", &["count:poisson"]);
    refuse_small("\"size_leaf_vector\":\"1\"", "\"size_leaf_vector\":\"3\"", &["vector leaves"]);
    let name = "lgb-4.7-nan.txt";
    let refuse = |from, to, words: &[&str]| refuse(Format::LightgbmText, name, from, to, words);
    refuse("num_class=1", "num_class=3", &["multi-class", "num_class=3"]);
    refuse("objective=binary sigmoid:1", "objective=lambdarank", &["lambdarank"]);
    refuse("objective=binary sigmoid:1", "objective=multiclass num_class:3", &["multiclass"]);
    refuse("objective=binary sigmoid:1", "objective=poisson", &["poisson"]);
    refuse("is_linear=0", "is_linear=1", &["linear tree"]);
    refuse("is_linear=0", "leaf_coeff=1 2", &["linear tree"]);
    refuse("version=v4", "version=v9", &["v9", "v4"]);
}

#[test]
fn unknown_members_are_refused_where_they_may_change_the_meaning() {
    refuse_small("\"id\":0,", "\"id\":0,\"leaf_scale\":[1],", &["trees[0].leaf_scale", "not known"]);
    refuse_small("\"num_class\"", "\"new_offset\":\"1\",\"num_class\"", &["new_offset"]);
    refuse_small("\"tree_info\"", "\"tree_weights\":[2],\"tree_info\"", &["tree_weights"]);
    refuse_small(
        "\"feature_types\"",
        "\"some_scale\":\"2\",\"feature_types\"",
        &["learner.some_scale", "not known"],
    );
    refuse_small("\"learner\"", "\"offset\":1,\"learner\"", &["model.offset", "not known"]);
    let harmless = small("\"best_iteration\"", "\"some_note\":\"x\",\"best_iteration\"");
    assert!(Model::from_bytes(Format::XgboostJson, harmless.as_bytes()).is_ok());
    refuse(Format::LightgbmText, "lgb-4.7-nan.txt", "label_index=0", "leaf_bias=0", &["line 5", "leaf_bias"]);
    refuse(Format::LightgbmText, "lgb-4.7-nan.txt", "shrinkage=", "leaf_bias=", &["leaf_bias"]);
}

#[test]
fn base_scores_are_one_number_within_the_links_range() {
    for text in ["[5E-1,5E-1]", "", "x", "NaN", "inf", "1.5", "-0.1"] {
        refuse_small("\"5E-1\"", &format!("\"{text}\""), &["base_score"]);
    }
    for text in ["0.5", "[0.5]", "5e-1", "5.0000000E-1"] {
        let model = Model::from_bytes(Format::XgboostJson, small("5E-1", text).as_bytes()).expect(text);
        let margin = model.score_one(&[0.0, 1.5], &mut model.scratch()).margin as f32;
        assert_eq!(margin.to_bits(), 0.3_f32.to_bits(), "{text}");
    }
}

#[test]
fn broken_text_is_refused_with_its_place() {
    let whole = small("5E-1", "5E-1");
    for end in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        assert!(Model::from_bytes(Format::XgboostJson, &whole.as_bytes()[..end]).is_err(), "{end}");
    }
    for (from, to) in
        [("{\"version\"", "{,\"version\""), ("[3,2,0]", "[3,2,]"), ("[3,2,0]", "[3 2]"), ("[0],", "[0}],")]
    {
        refuse_small(from, to, &["XGBoost JSON", "byte"]);
    }
    refuse_small("\"id\":0", "\"id\":0,\"id\":0", &["`id`", "twice"]);
    refuse_small("\"id\":0", &format!("\"id\":{}0{}", "[".repeat(99), "]".repeat(99)), &["nested deeper"]);
    let ubj = golden("xgb-3.2-logistic.ubj");
    for end in [1, 10, 200, ubj.len() / 2, ubj.len() - 1] {
        let text = error(Format::XgboostUbj, &ubj[..end]);
        assert!(text.contains("UBJSON"), "{end}: {text}");
    }
    let mut long = b"{L\0\0\0\0\0\0\0\x01a[$d#L".to_vec();
    long.extend(i64::MAX.to_be_bytes());
    assert!(error(Format::XgboostUbj, &long).contains("more than bytes are left"));
    let whole = String::from_utf8(golden("lgb-4.7-nan.txt")).expect("a text format");
    let text = error(Format::LightgbmText, &whole.as_bytes()[..whole.len() / 2]);
    assert!(text.contains("LightGBM text") || text.contains("tree "), "{text}");
    let trees = whole.split_once("end of trees").expect("trees end").0;
    let text = error(Format::LightgbmText, trees.as_bytes());
    let place = format!("the file ends before `end of trees` at line {}", trees.lines().count());
    assert!(text.contains(&place), "{text}");
    refuse(Format::LightgbmText, "lgb-4.7-nan.txt", "Tree=1\n", "Tree=2\n", &["Tree=1"]);
    refuse(Format::LightgbmText, "lgb-4.7-nan.txt", "left_child=1 ", "left_child=77 ", &["tree 0", "node 0"]);
    refuse(Format::LightgbmText, "lgb-4.7-nan.txt", "left_child=1 ", "left_child=-77 ", &["tree 0", "node"]);
    refuse(Format::LightgbmText, "lgb-4.7-nan.txt", "num_leaves=7", "num_leaves=8", &["tree 0", "not 8"]);
    refuse(
        Format::LightgbmText,
        "lgb-4.7-categorical.txt",
        "cat_boundaries=0 ",
        "cat_boundaries=1 ",
        &["tree"],
    );
}

#[test]
fn foreign_files_are_refused_with_a_reason() {
    for format in [Format::XgboostJson, Format::XgboostUbj, Format::LightgbmText, Format::LogisticJson] {
        for bytes in [&b"\x80\x04\x95\x12"[..], b"\x80\x03cxgboost.sklearn\n", b"csklearn.x\n", b"\x78\x9cab"]
        {
            let text = error(format, bytes);
            assert!(text.contains("runs code when it is loaded"), "{text}");
            assert_eq!(Format::sniff(bytes).map_err(|error| error.to_string()), Err(text));
        }
        assert!(error(format, b"").contains("empty"));
        assert!(error(format, b"binf\0\0").contains("old binary format"));
    }
    assert!(matches!(Format::sniff(b"hello"), Err(ModelError::Foreign { .. })));
}

#[test]
fn size_comes_before_everything() {
    // Zeroed pages cost nothing until they are read, and they are not.
    let bytes = vec![0_u8; MODEL_BYTES_MAX + 1];
    let expected = ModelError::TooLarge { bytes: MODEL_BYTES_MAX + 1, max: MODEL_BYTES_MAX };
    assert_eq!(Model::from_bytes(Format::XgboostJson, &bytes).err(), Some(expected));
}
