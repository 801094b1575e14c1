//! What the benchmarks share: believable sessions, the real binary, and a load generator over plain sockets.
#![allow(dead_code, reason = "each benchmark uses its own part")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

pub mod files;
pub mod load;
pub mod server;

use std::io::{BufWriter, Write};

/// 2024-01-01T00:00:00Z.
pub const FIRST_SECOND: i64 = 1_704_067_200;
pub const DAYS: i64 = 100;
pub const BATCH: usize = 5_000;
const USERS: u64 = 200_000;
const APPS: usize = 3;

/// One delivery, drawn from a seeded generator: 5 % are re-deliveries, 2 % are late by up to ten days.
#[derive(Clone, Copy)]
pub struct Delivery {
    pub app: usize,
    pub session: u128,
    pub started_at: i64,
    pub user: u64,
    pub combination: u64,
    pub duration: u64,
}

/// splitmix64: small, seeded, good enough to spread ids.
pub fn mix(mut state: u64) -> u64 {
    state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

/// Delivery number `index` of `total`, which are spread over the hundred days in order of arrival.
pub fn delivery(index: u64, total: u64) -> Delivery {
    let draw = mix(index);
    let original = if draw % 100 < 5 && index > 1000 {
        index - 1 - draw % 1000
    } else {
        index
    };
    let draw = mix(original.wrapping_mul(3) + 1);
    let arrival = FIRST_SECOND + (original as i64).wrapping_mul(DAYS * 86_400) / (total as i64).max(1);
    let late = if draw.is_multiple_of(50) {
        (mix(draw) % 864_000) as i64
    } else {
        0
    };
    Delivery {
        app: (draw >> 8) as usize % APPS,
        session: u128::from(mix(original ^ 0xABCD)) << 64 | u128::from(mix(original)),
        started_at: (arrival - late).max(FIRST_SECOND),
        user: mix(draw) % USERS,
        combination: (draw >> 16) % 2_000,
        duration: draw % 1800,
    }
}

/// What a file says of a delivery.
pub struct Facts<'a> {
    pub app: &'a str,
    pub session: uuid::Uuid,
    pub user: String,
    pub time: jiff::Timestamp,
    pub platform: &'static str,
    pub os_version: String,
    pub app_version: String,
    pub language: &'static str,
}

impl<'a> Facts<'a> {
    pub fn of(delivery: &Delivery, apps: &'a [String]) -> Self {
        let (platform, language) = [("ios", "en-US"), ("android", "pt-BR"), ("web", "de")][delivery.app % 3];
        Self {
            app: &apps[delivery.app % apps.len()],
            session: uuid::Uuid::from_u128(delivery.session),
            user: format!("u{}", delivery.user),
            time: jiff::Timestamp::from_second(delivery.started_at).unwrap(),
            platform,
            os_version: format!("17.{}", delivery.combination / 40),
            app_version: format!("4.{}", delivery.combination % 40),
            language,
        }
    }
}

/// As a line of NDJSON, about 260 bytes.
pub fn write_line(out: &mut Vec<u8>, apps: &[String], delivery: &Delivery) {
    let Facts {
        app,
        session,
        user,
        time,
        platform,
        os_version,
        app_version,
        language,
    } = Facts::of(delivery, apps);
    let duration = delivery.duration;
    writeln!(
        out,
        r#"{{"app_id":"{app}","session_id":"{session}","user_id":"{user}","started_at":"{time}","duration":{duration},"platform":"{platform}","os_version":"{os_version}","app_version":"{app_version}","language":"{language}","country":"BR"}}"#,
    )
    .unwrap();
}

/// All deliveries as NDJSON bodies of 5,000.
pub fn bodies(apps: &[String], total: u64) -> Vec<Vec<u8>> {
    (0..total.div_ceil(BATCH as u64))
        .map(|batch| {
            let mut body = Vec::with_capacity(BATCH * 280);
            let from = batch * BATCH as u64;
            for index in from..(from + BATCH as u64).min(total) {
                write_line(&mut body, apps, &delivery(index, total));
            }
            body
        })
        .collect()
}

/// All deliveries as a file of NDJSON, on disk.
pub fn lines(apps: &[String], total: u64) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut out = BufWriter::new(file.as_file_mut());
    let mut lines = Vec::new();
    for index in 0..total {
        lines.clear();
        write_line(&mut lines, apps, &delivery(index, total));
        out.write_all(&lines).unwrap();
    }
    out.flush().unwrap();
    drop(out);
    file.as_file().sync_all().unwrap();
    file
}

/// A number from the environment, or a default.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
