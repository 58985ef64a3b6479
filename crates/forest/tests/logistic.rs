//! Logistic models in our own JSON.

#![expect(clippy::float_cmp, reason = "sums of halves and quarters are exact")]

use cartguard_forest::{Format, Model, Precision, Score};

const MODEL: &str = r#"{"format": "cartguard.logistic", "version": 1, "features": ["a", "b"],
    "weights": [0.5, -2.0], "intercept": -1.0, "mean": [10.0, 1.0], "scale": [4.0, 0.5], "missing": [0.0, 3.0]}"#;

fn model(text: &str) -> Model {
    Model::from_bytes(Format::LogisticJson, text.as_bytes()).expect("loads")
}

#[test]
fn a_margin_is_the_sum_of_scaled_terms() {
    let model = model(MODEL);
    assert_eq!(Format::sniff(MODEL.as_bytes()), Ok(Format::LogisticJson));
    assert_eq!(model.precision(), Precision::F64);
    assert_eq!(model.feature_names().map(<[String]>::len), Some(2));
    let mut scratch = model.scratch();
    let score = model.score_one(&[14.0, 0.75], &mut scratch);
    assert_eq!(score.margin, -1.0 + 0.5 * 4.0 / 4.0 + -2.0 * -0.25 / 0.5);
    assert_eq!(score.score, 1.0 / (1.0 + 0.5_f64.exp().recip()));
    let mut out = [0.0; 2];
    assert_eq!(model.contributions(&[14.0, 0.75], &mut scratch, &mut out), -1.0);
    assert_eq!(out, [0.5, 1.0]);
    let mut two = [Score::default(); 2];
    model.score_rows(&[14.0, 0.75, 9.9, 14.0, 0.75, 9.9], 3, &mut scratch, &mut two);
    assert_eq!(two, [score; 2]);
}

#[test]
fn a_missing_value_has_a_stand_in_or_adds_nothing() {
    let row = [f32::NAN, f32::NAN];
    let with = model(MODEL);
    assert_eq!(with.score_one(&row, &mut with.scratch()).margin, -1.0 + 0.5 * -10.0 / 4.0 + -2.0 * 2.0 / 0.5);
    let without = model(&MODEL.replace(r#", "missing": [0.0, 3.0]"#, ""));
    assert_eq!(without.score_one(&row, &mut without.scratch()).margin, -1.0);
}

#[test]
fn faults_are_named() {
    let cases = [
        (r#""weights": [0.5, -2.0]"#, r#""weights": [0.5]"#, "`weights`: has 1 entries"),
        ("[4.0, 0.5]", "[4.0, 0.0]", "`scale[1]`: is 0"),
        (r#"["a", "b"]"#, r#"["a", "a"]"#, "names `a` twice"),
        (r#""version": 1"#, r#""version": 2"#, "version 1"),
        (r#""intercept""#, r#""bias": 1, "intercept""#, "unknown field `bias`"),
        ("-1.0", "1e999", "line 2"),
        (r#"["a", "b"]"#, "[]", "`features`: is empty"),
        (r#""weights""#, r#""weihgts""#, "unknown field `weihgts`"),
    ];
    for (from, to, words) in cases {
        let text = MODEL.replacen(from, to, 1);
        let error = Model::from_bytes(Format::LogisticJson, text.as_bytes()).expect_err(to).to_string();
        assert!(error.contains(words), "{to}: {error}");
        assert!(error.matches("column").count() <= 1, "the place once: {error}");
    }
    let text = MODEL.replacen("logistic", "logistik", 1);
    let format = Format::sniff(text.as_bytes()).expect("one of ours");
    let error = Model::from_bytes(format, text.as_bytes()).expect_err("misspelt").to_string();
    assert!(error.contains("accepted is \"cartguard.logistic\", version 1"), "{error}");
}
