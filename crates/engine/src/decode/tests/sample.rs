//! Records like those of benches/workload: for tests and the bench (which includes this file), so it names nothing of the crate.

/// `count` records of 430 to 560 bytes, the same for the same seed.
pub(crate) fn records(count: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut rng = Rng(seed);
    (0..count as u64).map(|index| record(index, &mut rng)).collect()
}

fn record(index: u64, rng: &mut Rng) -> Vec<u8> {
    let (a, b) = (rng.next(), rng.next());
    let ms = index * 137;
    let (day, hour, minute) = (1 + ms / 86_400_000 % 30, ms / 3_600_000 % 24, ms / 60_000 % 60);
    let customer = rng.below(200_000);
    let items: Vec<String> = (0..=rng.below(4).min(3))
        .map(|_| {
            let (sku, qty, euros, cents) =
                (rng.below(20_000), 1 + rng.below(3), rng.below(100), rng.below(100));
            format!(r#"{{"sku":"p{sku:06}","qty":{qty},"price":{euros}.{cents:02}}}"#)
        })
        .collect();
    let (euros, cents) = (rng.below(500), rng.below(100));
    let quote = if rng.below(4) == 0 { "" } else { "\"" };
    let country = ["DE", "FR", "NL", "GB"][rng.below(4) as usize];
    format!(
        concat!(
            r#"{{"event_id":"{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}","#,
            r#""event_time":"2026-03-{:02}T{:02}:{:02}:{:02}.{:03}Z","#,
            r#""customer_id":"c{:08}","card_id":"{:016x}","device_id":"{:016x}","ip":"{}.{}.{}.{}","#,
            r#""email_hash":"{:016x}","amount":{}{}.{:02}{},"currency":"{}","seller_id":"s{:05}","#,
            r#""items":[{}],"shipping":{{"country":"{}","postal":"{:05}"}},"#,
            r#""billing":{{"country":"{}","postal":"{:05}"}},"channel":"{}"}}"#
        ),
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff,
        day,
        hour,
        minute,
        ms / 1000 % 60,
        ms % 1000,
        customer,
        mix(customer * 3 + rng.below(3)),
        mix(customer * 5 + rng.below(3)),
        10 + customer % 200,
        customer / 256 % 256,
        customer % 256,
        rng.below(256),
        mix(customer),
        quote,
        euros,
        cents,
        quote,
        if country == "GB" { "GBP" } else { "EUR" },
        rng.below(2000),
        items.join(","),
        country,
        customer % 99_999,
        if rng.below(20) == 0 { "US" } else { country },
        customer % 99_999,
        ["web", "app", "phone"][rng.below(3) as usize],
    )
    .into_bytes()
}

/// splitmix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
