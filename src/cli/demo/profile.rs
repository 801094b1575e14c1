//! The apps of the demo: who uses them, when and on what. All of it is made up.

/// A choice and how often it is made.
pub(super) type Weighted<T> = (T, f64);

/// How an app is used.
#[derive(Debug)]
pub(super) struct Profile {
    /// Fixed, so that what was written down about one demo fits the next.
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) platform: &'static str,
    /// Of all sessions.
    pub(super) share: f64,
    /// Monday to Sunday.
    pub(super) week: [f64; 7],
    /// The hours of a day in the workspace's time zone.
    pub(super) day: [f64; 24],
    /// How many times the usual number came on the day of the launch, besides the usual one.
    pub(super) launch: f64,
    /// Seconds of an average session.
    pub(super) seconds: f64,
    pub(super) os_versions: &'static [Weighted<&'static str>],
    pub(super) devices: &'static [Weighted<&'static str>],
    /// Version and the day of the demo on which it came out, oldest first.
    pub(super) releases: &'static [(&'static str, f64)],
    /// Days until half of the people have a new version, about.
    pub(super) update_days: f64,
}

/// The day of the launch, counted from the first of the 100.
pub(super) const LAUNCH_DAY: u32 = 61;

/// Country, language.
pub(super) const PLACES: [Weighted<(&str, &str)>; 10] = [
    (("US", "en-US"), 30.0),
    (("BR", "pt-BR"), 14.0),
    (("DE", "de-DE"), 12.0),
    (("GB", "en-GB"), 9.0),
    (("MX", "es-MX"), 9.0),
    (("IN", "en-IN"), 8.0),
    (("FR", "fr-FR"), 6.0),
    (("JP", "ja-JP"), 5.0),
    (("ES", "es-ES"), 4.0),
    (("US", "es-US"), 3.0),
];

const LEISURE_WEEK: [f64; 7] = [0.88, 0.85, 0.87, 0.92, 1.04, 1.28, 1.16];
const WORK_WEEK: [f64; 7] = [1.20, 1.24, 1.22, 1.18, 1.06, 0.54, 0.56];

const PHONE_DAY: [f64; 24] = [
    1.6, 0.9, 0.5, 0.3, 0.3, 0.6, 1.8, 4.0, 5.2, 4.2, 3.8, 4.2, 5.6, 5.2, 4.2, 4.0, 4.4, 5.4, 6.2, 7.0, 8.0,
    8.2, 6.0, 3.4,
];
const DESK_DAY: [f64; 24] = [
    0.6, 0.4, 0.2, 0.2, 0.2, 0.3, 0.8, 2.4, 6.0, 8.6, 9.2, 8.8, 6.4, 7.4, 8.8, 8.4, 7.6, 5.4, 3.4, 3.0, 3.4,
    3.0, 2.0, 1.2,
];

/// Three apps.
pub(super) const PROFILES: [Profile; 3] = [
    Profile {
        id: "5c3b1a52-6f0e-4f5b-9d0a-3b6f1c7e2a01",
        name: "iOS",
        platform: "ios",
        share: 0.42,
        week: LEISURE_WEEK,
        day: PHONE_DAY,
        launch: 1.7,
        seconds: 210.0,
        os_versions: &[("26.0", 5.0), ("18.6", 3.0), ("17.7", 1.0)],
        devices: &[
            ("iPhone17,1", 3.0),
            ("iPhone16,1", 3.0),
            ("iPhone14,5", 2.0),
            ("iPad14,3", 1.0),
        ],
        releases: &[
            ("4.8", -60.0),
            ("4.9", 4.0),
            ("4.10", 32.0),
            ("5.0", 61.0),
            ("5.1", 82.0),
        ],
        update_days: 5.0,
    },
    Profile {
        id: "8e2d4c90-17ab-4c3e-8b61-90d2f5a47b02",
        name: "Android",
        platform: "android",
        share: 0.38,
        week: LEISURE_WEEK,
        day: PHONE_DAY,
        launch: 1.3,
        seconds: 180.0,
        os_versions: &[("16", 2.0), ("15", 4.0), ("14", 3.0), ("13", 1.0)],
        devices: &[
            ("Pixel 9", 2.0),
            ("SM-S921B", 3.0),
            ("SM-A546B", 3.0),
            ("Redmi Note 13", 2.0),
        ],
        releases: &[
            ("4.8", -60.0),
            ("4.9", 6.0),
            ("4.10", 35.0),
            ("5.0", 61.0),
            ("5.1", 85.0),
        ],
        update_days: 9.0,
    },
    Profile {
        id: "d1f7a6b4-2c58-4e97-a3d4-6b80e9c15f03",
        name: "Web",
        platform: "web",
        share: 0.20,
        week: WORK_WEEK,
        day: DESK_DAY,
        launch: 0.6,
        seconds: 420.0,
        os_versions: &[
            ("Windows 11", 4.0),
            ("macOS 15", 3.0),
            ("Windows 10", 2.0),
            ("Linux", 1.0),
        ],
        devices: &[],
        releases: &[("2026.1", -60.0), ("2026.2", 20.0), ("2026.3", 61.0)],
        update_days: 0.2,
    },
];
