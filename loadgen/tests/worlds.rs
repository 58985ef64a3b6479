//! What each world promises: the same bytes again, the right members, the measured shares.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says enough where it fails")]

use std::collections::{BTreeMap, BTreeSet};

use loadgen::handbook::Handbook;
use loadgen::{EventInfo, Generator, Settings, World};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Bytes of the first 10,000 events, labels included: changing a world means changing these, and
/// every number measured on it before is of another input.
const GOLDEN: [(World, &str); 3] = [
    (World::Shop, "efbf6deb2b221f75"),
    (World::Workload, "f1dbe1ef6f44fcd3"),
    (World::Handbook, "a9c9b693abef702d"),
];

fn small(world: World) -> Settings {
    Settings {
        customers: if world == World::Handbook { 500 } else { 200_000 },
        days: 40,
        ..Settings::new(world)
    }
}

fn events(settings: &Settings, count: u64) -> Vec<(String, EventInfo)> {
    let mut generator = Generator::new(&Settings { events: Some(count), ..settings.clone() }).unwrap();
    let mut out = Vec::new();
    let mut all = Vec::new();
    while let Some(info) = generator.next_event(&mut out) {
        all.push((String::from_utf8(out.clone()).unwrap(), info));
        out.clear();
    }
    all
}

fn hash(settings: &Settings, count: u64) -> String {
    let mut hasher = Sha256::new();
    for (text, info) in events(settings, count) {
        hasher.update(text);
        if let Some(label) = info.label {
            hasher.update(format!(
                " {} {} {} {}\n",
                label.event_id, label.fraud, label.known_at_ms, label.kind
            ));
        }
    }
    let digest: [u8; 8] = hasher.finalize()[..8].try_into().unwrap();
    format!("{:016x}", u64::from_be_bytes(digest))
}

#[test]
fn the_same_seed_gives_the_same_bytes_for_good() {
    let found: Vec<_> = GOLDEN.iter().map(|&(world, _)| (world, hash(&small(world), 10_000))).collect();
    let wanted: Vec<_> = GOLDEN.iter().map(|&(world, hash)| (world, hash.to_owned())).collect();
    assert_eq!(found, wanted);
    for (world, before) in wanted {
        let other = Settings { seed: 2, ..small(world) };
        assert_ne!(hash(&other, 10_000), before, "{world:?}: the seed changes nothing");
    }
}

#[test]
fn a_shorter_run_is_a_prefix_of_a_longer_one() {
    for world in World::ALL {
        let (short, long) = (events(&small(world), 1_000), events(&small(world), 3_000));
        assert!(short[..] == long[..1_000], "{world:?}");
    }
}

#[test]
fn workload_records_have_their_fourteen_members() {
    let members = "event_id event_time customer_id card_id device_id ip email_hash amount currency seller_id items \
                   shipping billing channel";
    let records = events(&small(World::Workload), 20_000);
    for (text, info) in &records {
        let event: Value = serde_json::from_str(text).unwrap();
        let names: BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, members.split_whitespace().collect(), "{text}");
        assert_eq!(time(&event["event_time"]), info.time_ms, "{text}");
        let items = event["items"].as_array().unwrap();
        assert!((1..=4).contains(&items.len()), "{text}");
        assert_eq!(cents(&event["amount"]), basket(items), "{text}");
        assert_eq!(event["event_id"].as_str().unwrap().len(), 36);
        assert!(event["shipping"]["country"].is_string() && event["billing"]["postal"].is_string());
    }
    let mean = records.iter().map(|(text, _)| text.len()).sum::<usize>() / records.len();
    assert!((430..=490).contains(&mean), "{mean} bytes");
}

#[test]
fn shop_records_follow_the_schema() {
    let all = "event_id event_time amount currency discount customer_id card_id card_bin device_id ip email_hash \
               email_domain phone_hash name_hash account_created_at seller_id items shipping billing channel session \
               auth_result cvv_result avs_result";
    let always = "event_id event_time amount currency card_id card_bin email_hash email_domain seller_id items shipping \
                  channel auth_result cvv_result avs_result";
    let mut seen = BTreeMap::new();
    let records = events(&small(World::Shop), 30_000);
    for (text, info) in &records {
        let event: Value = serde_json::from_str(text).unwrap();
        for name in event.as_object().unwrap().keys() {
            *seen.entry(name.clone()).or_insert(0_usize) += 1;
        }
        assert!(always.split_whitespace().all(|name| !event[name].is_null()), "{text}");
        let discount = event.get("discount").map_or(0, cents);
        assert_eq!(cents(&event["amount"]) + discount, basket(event["items"].as_array().unwrap()), "{text}");
        assert_eq!(time(&event["event_time"]), info.time_ms);
        if let Some(created) = event.get("account_created_at") {
            assert!(time(created) <= info.time_ms, "{text}");
        }
        if let Some(session) = event.get("session") {
            assert!(
                time(&session["started_at"]) <= info.time_ms && session["pages"].as_u64() > Some(0),
                "{text}"
            );
        }
        if let Some(ip) = event.get("ip") {
            ip.as_str().unwrap().parse::<std::net::Ipv4Addr>().unwrap();
        }
    }
    let names: BTreeSet<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(names, all.split_whitespace().collect());
    // Members that can be missing sometimes are.
    for name in "customer_id device_id ip phone_hash name_hash billing session discount".split_whitespace() {
        assert!(seen[name] < records.len(), "{name}");
    }
}

#[test]
fn repeats_are_the_same_bytes_within_five_minutes_and_have_no_label() {
    for world in [World::Shop, World::Workload] {
        let mut first = BTreeMap::new();
        let (mut repeats, mut newest_ms) = (0, i64::MIN);
        let records = events(&small(world), 100_000);
        for (text, info) in &records {
            newest_ms = newest_ms.max(info.time_ms);
            let id = text[13..49].to_owned();
            if info.repeat {
                repeats += 1;
                assert_eq!(first.get(&id), Some(&text), "{world:?}");
                assert!(info.label.is_none());
                assert!(newest_ms - info.time_ms <= 302_000);
            } else {
                assert!(first.insert(id, text).is_none(), "{world:?}: an id came twice");
                assert!(newest_ms - info.time_ms <= 2_000, "{world:?}: too late");
            }
        }
        let share = f64::from(repeats) / records.len() as f64;
        assert!((share - 0.01).abs() < 0.002, "{world:?}: {share}");
    }
}

#[test]
fn disorder_is_there_and_bounded() {
    // Dense enough in event time that a delay of 2 s means other events in between.
    for world in [World::Shop, World::Workload] {
        let settings = Settings { rate: 500.0, duplicates: 0.0, disorder_ms: 1_500, ..small(world) };
        let (mut newest_ms, mut behind, mut most_ms) = (i64::MIN, 0, 0);
        for (_, info) in events(&settings, 50_000) {
            newest_ms = newest_ms.max(info.time_ms);
            behind += u32::from(info.time_ms < newest_ms);
            most_ms = most_ms.max(newest_ms - info.time_ms);
        }
        assert!(most_ms <= 1_500 && most_ms > 1_200, "{world:?}: {most_ms} ms");
        assert!(behind > 10_000, "{world:?}: {behind}");
        let ordered = Settings { disorder_ms: 0, ..settings };
        let times: Vec<i64> = events(&ordered, 20_000).iter().map(|(_, info)| info.time_ms).collect();
        assert!(times.is_sorted(), "{world:?}");
    }
}

#[test]
fn fraud_has_its_share_and_its_kinds() {
    let kinds = |settings: &Settings, count| {
        let mut kinds = BTreeMap::new();
        for (_, info) in events(settings, count) {
            if let Some(label) = info.label {
                let entry = kinds.entry(label.kind).or_insert((label.fraud, 0_u32));
                assert_eq!(entry.0, label.fraud, "{}", label.kind);
                entry.1 += 1;
            }
        }
        kinds
    };
    let share = |kinds: &BTreeMap<&str, (bool, u32)>| {
        let sum =
            |fraud| kinds.values().filter(|kind| kind.0 >= fraud).map(|kind| f64::from(kind.1)).sum::<f64>();
        sum(true) / sum(false)
    };
    let shop = kinds(&small(World::Shop), 400_000);
    let names: Vec<&str> = shop.keys().copied().collect();
    assert_eq!(
        names,
        [
            "account_takeover",
            "card_testing",
            "device_farm",
            "flash_sale",
            "friendly_fraud",
            "normal",
            "triangulation"
        ]
    );
    assert!((0.005..0.01).contains(&share(&shop)), "{shop:?}");
    assert!((4_000..13_000).contains(&shop["flash_sale"].1), "{shop:?}");
    let workload = kinds(&small(World::Workload), 400_000);
    assert!((0.004..0.006).contains(&share(&workload)), "{workload:?}");
    let none = kinds(&Settings { attacks: 0.0, ..small(World::Shop) }, 50_000);
    assert!(none.values().all(|kind| !kind.0), "{none:?}");
}

#[test]
fn a_triangulation_pays_with_many_cards_and_sends_to_many_homes() {
    let mut attacks: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    let mut homes = BTreeMap::new();
    for (text, info) in events(&small(World::Shop), 400_000) {
        let Some(label) = info.label else { continue };
        let event: Value = serde_json::from_str(&text).expect("an event is JSON");
        if label.kind == "triangulation" {
            attacks.entry(label.attack.expect("it belongs to one")).or_default().push(event);
        } else if !label.fraud {
            *homes.entry(event["shipping"]["address_hash"].to_string()).or_insert(0_u32) += 1;
        }
    }
    let different =
        |events: &[Value], of: fn(&Value) -> String| events.iter().map(of).collect::<BTreeSet<_>>().len();
    let whole: Vec<_> = attacks.values().filter(|events| events.len() >= 8).collect();
    assert!(whole.len() >= 3, "{} attacks", whole.len());
    for events in whole {
        assert!(different(events, |event| event["customer_id"].to_string()) <= 6);
        assert!(different(events, |event| event["device_id"].to_string()) <= 6);
        assert_eq!(different(events, |event| event["card_id"].to_string()), events.len(), "a card each");
        assert!(different(events, |event| event["shipping"]["address_hash"].to_string()) * 2 > events.len());
    }
    let to_customers = attacks
        .values()
        .flatten()
        .filter(|event| homes.contains_key(&event["shipping"]["address_hash"].to_string()));
    assert!(
        to_customers.count() * 2 > attacks.values().flatten().count(),
        "parcels go to homes of customers"
    );
}

#[test]
fn half_of_friendly_fraud_is_of_customers_who_do_it_again() {
    let settings = Settings { attacks: 0.2, ..small(World::Shop) };
    let mut disputes: BTreeMap<String, u32> = BTreeMap::new();
    for (text, info) in events(&settings, 300_000) {
        if info.label.is_some_and(|label| label.kind == "friendly_fraud") {
            let event: Value = serde_json::from_str(&text).expect("an event is JSON");
            *disputes.entry(event["email_hash"].to_string()).or_default() += 1;
        }
    }
    let all: u32 = disputes.values().sum();
    let again: u32 = disputes.values().filter(|&&count| count > 1).sum();
    assert!(all > 500 && again * 4 > all, "{again} of {all}");
}

#[test]
fn labels_are_unique_and_known_after_the_event() {
    for world in World::ALL {
        let mut ids = BTreeSet::new();
        let mut within_two_days = 0;
        for (text, info) in events(&small(world), 100_000) {
            let Some(label) = info.label else { continue };
            assert!(ids.insert(label.event_id), "{world:?}: {text}");
            assert!(text.contains(&label.event_id.to_string()));
            let after_ms = label.known_at_ms - info.time_ms;
            assert!((0..=60 * 86_400_000).contains(&after_ms), "{world:?}: {after_ms}");
            within_two_days += u32::from(label.fraud && after_ms <= 2 * 86_400_000);
        }
        assert!(world == World::Handbook || within_two_days > 0);
        let silent = Settings { legit_after_days: None, ..small(world) };
        assert!(events(&silent, 20_000).iter().filter_map(|(_, info)| info.label).all(|label| label.fraud));
    }
}

#[test]
fn popular_customers_have_their_zipf_share() {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let records = events(&small(World::Workload), 200_000);
    for (text, _) in &records {
        let event: Value = serde_json::from_str(text).unwrap();
        *counts.entry(event["customer_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let sum: f64 = (1..=200_000).map(|rank| f64::from(rank).powf(-0.8)).sum();
    for rank in [1_u32, 2, 5, 10] {
        let share = f64::from(counts[&format!("c{:08}", rank - 1)]) / records.len() as f64;
        let expected = f64::from(rank).powf(-0.8) / sum;
        assert!((share / expected - 1.0).abs() < 0.1, "rank {rank}: {share} for {expected}");
    }
}

#[test]
fn the_days_asked_for_are_filled() {
    let rate = 200_000.0 / (30.0 * 86_400.0);
    for world in [World::Shop, World::Workload] {
        let settings = Settings { rate, ..small(world) };
        let (_, last) = events(&settings, 200_000).pop().unwrap();
        let days = (last.time_ms - settings.start_ms) as f64 / 86_400_000.0;
        assert!((28.5..31.5).contains(&days), "{world:?}: {days}");
    }
}

#[test]
fn the_handbook_process_gives_the_published_shares() {
    // Full density of customers and terminals, fewer days; the published 183 have 1.92 a customer and
    // day, 0.84 % fraud. Frauds build up over the first 28 days, so the share is of those after.
    let settings = Settings { days: 60, ..Settings::new(World::Handbook) };
    let rows: Vec<_> = Handbook::new(&settings).unwrap().collect();
    let a_day = rows.len() as f64 / (5_000.0 * 60.0);
    assert!((1.85..2.02).contains(&a_day), "{a_day}");
    assert!(rows.is_sorted_by_key(|row| row.time_s));
    assert!(rows.iter().enumerate().all(|(place, row)| row.id == place as u64));
    assert!(rows.iter().all(|row| row.customer < 5_000 && row.terminal < 10_000));
    let settled: Vec<_> = rows.iter().filter(|row| row.time_s >= rows[0].time_s + 28 * 86_400).collect();
    let share = |scenario: u8| {
        settled.iter().filter(|row| row.scenario == scenario).count() as f64 / settled.len() as f64
    };
    // Published: 973, 9,077 and 4,631 of 1,754,155, build-up included.
    assert!((0.0003..0.0009).contains(&share(1)), "{}", share(1));
    assert!((0.0045..0.0066).contains(&share(2)), "{}", share(2));
    assert!((0.0020..0.0034).contains(&share(3)), "{}", share(3));
    let noon = rows.iter().map(|row| (row.time_s.rem_euclid(86_400)) as f64).sum::<f64>() / rows.len() as f64;
    assert!((noon - 43_200.0).abs() < 200.0, "{noon}");
    let mean = rows.iter().map(|row| f64::from(row.cents)).sum::<f64>() / rows.len() as f64;
    assert!((5_000.0..5_700.0).contains(&mean), "{mean}");
}

#[test]
fn settings_out_of_bounds_are_refused_by_name() {
    let base = || Settings::new(World::Shop);
    let cases = [
        (Settings { rate: 0.0, ..base() }, "rate"),
        (Settings { rate: f64::NAN, ..base() }, "rate"),
        (Settings { customers: 0, ..base() }, "customers"),
        (Settings { zipf: -1.0, ..base() }, "zipf"),
        (Settings { duplicates: 0.9, ..base() }, "duplicates"),
        (Settings { attacks: f64::INFINITY, ..base() }, "attacks"),
        (Settings { start_ms: i64::MAX, ..base() }, "start"),
        (Settings { terminals: 0, ..Settings::new(World::Handbook) }, "terminals"),
    ];
    for (settings, name) in cases {
        let error = Generator::new(&settings).err().expect(name);
        assert_eq!(error.name, name);
    }
}

fn time(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn cents(value: &Value) -> u64 {
    let (units, rest) = value.as_str().unwrap().split_once('.').unwrap();
    assert_eq!(rest.len(), 2);
    units.parse::<u64>().unwrap() * 100 + rest.parse::<u64>().unwrap()
}

fn basket(items: &[Value]) -> u64 {
    let line = |item: &Value| {
        let price = (item["price"].as_f64().unwrap() * 100.0).round() as u64;
        price * item["qty"].as_u64().unwrap()
    };
    items.iter().map(line).sum()
}
