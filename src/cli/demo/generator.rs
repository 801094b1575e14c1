//! 100 days of sessions that could have happened: weekly rhythm, day and night, growth, a launch, people who come
//! back. The same seed, time zone and end give the same sessions.

use std::borrow::Cow;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::profile::{LAUNCH_DAY, PLACES, PROFILES, Profile};
use super::rng::Rng;
use crate::model::{AppId, AttributeValue, End, Millis, NewSession, Properties, PropertyFields, Session};

/// Days, the last of which is today.
pub(super) const DAYS: u32 = 100;
/// About how many sessions the days have, if the last one were over.
const SESSIONS: f64 = 150_000.0;
/// Growth over all the days, as a share of their average.
const GROWTH: f64 = 0.5;
/// How much a day differs from what is usual.
const NOISE: f64 = 0.06;
/// Days after which the rush of the launch has fallen to about a third.
const LAUNCH_FADES: f64 = 2.5;
/// People an app had at first, and how many came each day.
const FIRST_USERS: f64 = 1_800.0;
const USERS_A_DAY: f64 = 30.0;
/// How much more often the same people come back than others do.
const LOYALTY: f64 = 3.0;
const LONGEST_SECONDS: f64 = 7_200.0;

/// Makes sessions, a day at a time.
pub(super) struct Generator {
    seed: u64,
    zone: TimeZone,
    now: Timestamp,
    first: Date,
    apps: Vec<(AppId, &'static Profile)>,
    /// Sessions for each unit of weight.
    scale: f64,
}

impl Generator {
    /// For the days in `zone` that end with the one that contains `now`.
    pub(super) fn new(seed: u64, zone: TimeZone, now: Timestamp) -> anyhow::Result<Self> {
        let today = now.to_zoned_datetime(zone.clone()).date();
        let first = today.checked_sub(i64::from(DAYS - 1).days())?;
        let apps = PROFILES
            .iter()
            .map(|profile| Ok((profile.id.parse()?, profile)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut generator = Self {
            seed,
            zone,
            now,
            first,
            apps,
            scale: 1.0,
        };
        let mut weights = 0.0;
        for day in 0..DAYS {
            for (_, profile) in &generator.apps {
                weights += generator.weight(day, profile)?;
            }
        }
        generator.scale = SESSIONS / weights;
        Ok(generator)
    }

    /// The sessions of a day, 0 to [`DAYS`] - 1; of today those that have begun.
    pub(super) fn day(&self, day: u32) -> anyhow::Result<Vec<Session>> {
        let mut sessions = Vec::new();
        for (index, (app, profile)) in self.apps.iter().enumerate() {
            let mut rng = Rng::new(self.seed, &[u64::from(day), index as u64]);
            let noise = 1.0 + NOISE * (rng.fraction() + rng.fraction() - 1.0);
            let count = (self.weight(day, profile)? * self.scale * noise).round() as usize;
            let hours = self.hours(day, profile)?;
            for _ in 0..count {
                let Some(hour) = rng.pick(&hours).copied() else {
                    continue;
                };
                let start = hour + i64::try_from(rng.below(3_600_000))?;
                let person = Person::pick(self.seed, day, index, &mut rng);
                if start <= self.now.as_millisecond() {
                    sessions.push(self.session(*app, profile, day, start, &person, &mut rng)?);
                }
            }
        }
        Ok(sessions)
    }

    fn date(&self, day: u32) -> anyhow::Result<Date> {
        Ok(self.first.checked_add(i64::from(day).days())?)
    }

    /// How much of the app's use falls on a day.
    fn weight(&self, day: u32, profile: &Profile) -> anyhow::Result<f64> {
        let weekday = self.date(day)?.weekday().to_monday_zero_offset();
        let week = usize::try_from(weekday)
            .ok()
            .and_then(|at| profile.week.get(at))
            .unwrap_or(&1.0);
        let growth = 1.0 + GROWTH * (f64::from(day) / f64::from(DAYS - 1) - 0.5);
        let launch = match day.checked_sub(LAUNCH_DAY) {
            Some(since) => profile.launch * (-f64::from(since) / LAUNCH_FADES).exp(),
            None => 0.0,
        };
        Ok(profile.share * week * growth * (1.0 + launch))
    }

    /// Where the hours of a day begin, with their weights. An hour that the zone skips begins with the next one.
    fn hours(&self, day: u32, profile: &Profile) -> anyhow::Result<Vec<(Millis, f64)>> {
        let date = self.date(day)?;
        (0_i8..)
            .zip(profile.day)
            .map(|(hour, weight)| {
                let start = date.at(hour, 0, 0, 0).to_zoned_datetime(self.zone.clone())?;
                Ok((start.timestamp().as_millisecond(), weight))
            })
            .collect()
    }

    fn session(
        &self,
        app: AppId,
        profile: &Profile,
        day: u32,
        start: Millis,
        person: &Person,
        rng: &mut Rng,
    ) -> anyhow::Result<Session> {
        let session_id = uuid::Builder::from_random_bytes(rng.bytes())
            .into_uuid()
            .to_string();
        let seconds = (5.0 + rng.exponential(profile.seconds)).min(LONGEST_SECONDS);
        let millis = (seconds * 1_000.0) as i64;
        let now = self.now.as_millisecond();
        // Some clients crash or lose their network, and some sessions are still going on.
        let ended = !rng.chance(0.03) && start + millis <= now;
        let new = NewSession {
            app,
            session_id: &session_id,
            started_at: start,
            end: ended.then_some(End::After(millis)),
            user_id: person.user_id.as_deref(),
            device_id: Some(&person.device_id),
            properties: person.properties(profile, day)?,
        };
        Ok(Session::new(new, now)?)
    }
}

/// Somebody, always with the same device, place and habits.
struct Person {
    user_id: Option<String>,
    device_id: String,
    traits: Rng,
}

impl Person {
    /// Few people come often, many come seldom; more of them know the app each day.
    fn pick(seed: u64, day: u32, app: usize, rng: &mut Rng) -> Self {
        let known = FIRST_USERS + USERS_A_DAY * f64::from(day);
        let number = (known * rng.fraction().powf(LOYALTY)) as u64;
        // Every fourth visitor of an app is somebody who uses another one of them as well.
        let group = if number % 4 == 3 { 0 } else { app as u64 };
        let who = Rng::new(seed, &[group, number]).next();
        let mut device = Rng::new(who, &[app as u64]);
        Self {
            user_id: (!number.is_multiple_of(5)).then(|| format!("u{:010}", who % 10_000_000_000)),
            device_id: uuid::Builder::from_random_bytes(device.bytes())
                .into_uuid()
                .to_string(),
            traits: device,
        }
    }

    fn properties(&self, profile: &Profile, day: u32) -> anyhow::Result<Properties> {
        let mut traits = self.traits.clone();
        let (country, language) = traits.pick(&PLACES).copied().unzip();
        let plan = if traits.chance(0.15) { "pro" } else { "free" };
        let fields = PropertyFields {
            platform: Some(profile.platform),
            os_version: traits.pick(profile.os_versions).copied(),
            device_model: traits.pick(profile.devices).copied(),
            country,
            language,
            app_version: installed(profile, day, traits.exponential(profile.update_days)),
        };
        let attributes = vec![(Cow::Borrowed("plan"), AttributeValue::Text(plan.into()))];
        Ok(Properties::new(&fields, attributes)?)
    }
}

/// The newest version that came out `lag` days ago or earlier.
fn installed(profile: &Profile, day: u32, lag: f64) -> Option<&'static str> {
    let out = profile
        .releases
        .iter()
        .rev()
        .find(|(_, released)| released + lag <= f64::from(day));
    out.or(profile.releases.first()).map(|(version, _)| *version)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    const SEED: u64 = 7;

    fn generator() -> Generator {
        // A Saturday, 23:59 in Berlin.
        let now = "2026-05-30T21:59:00Z".parse().unwrap();
        Generator::new(SEED, TimeZone::get("Europe/Berlin").unwrap(), now).unwrap()
    }

    fn counts(generator: &Generator) -> Vec<usize> {
        (0..DAYS).map(|day| generator.day(day).unwrap().len()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_sessions() {
        assert_eq!(generator().day(50).unwrap(), generator().day(50).unwrap());
        let other = Generator {
            seed: SEED + 1,
            ..generator()
        };
        assert_ne!(generator().day(50).unwrap(), other.day(50).unwrap());
    }

    #[test]
    fn there_are_as_many_as_promised_and_none_is_later_than_now() {
        let generator = generator();
        let total: usize = counts(&generator).iter().sum();
        assert!((145_000..155_000).contains(&total), "{total}");
        let noon = Generator {
            now: "2026-05-30T10:00:00Z".parse().unwrap(),
            ..generator
        };
        let today = noon.day(DAYS - 1).unwrap();
        assert!(!today.is_empty() && today.len() < noon.day(DAYS - 2).unwrap().len());
        assert!(
            today
                .iter()
                .all(|session| session.started_at() <= noon.now.as_millisecond())
        );
        let ids: HashSet<&str> = today.iter().map(Session::session_id).collect();
        assert_eq!(ids.len(), today.len());
    }

    #[test]
    fn weeks_have_a_rhythm_use_grows_and_the_launch_stands_out() {
        let counts = counts(&generator());
        // Day 99 is a Saturday, so day 1 is one too.
        let on = |first: usize| (first..60).step_by(7).map(|day| counts[day] as f64).sum::<f64>() / 9.0;
        assert!(on(1) > on(4) * 1.02, "Saturdays {} Tuesdays {}", on(1), on(4));
        let week = |from: usize| counts[from..from + 7].iter().sum::<usize>();
        assert!(week(93) as f64 > week(0) as f64 * 1.3, "{} {}", week(93), week(0));
        let launch = LAUNCH_DAY as usize;
        assert_eq!(counts.iter().max(), counts.get(launch), "{counts:?}");
        assert!(counts[launch] as f64 > counts[launch - 7] as f64 * 1.8);
    }

    #[test]
    fn nights_are_quiet_in_the_workspaces_zone() {
        let generator = generator();
        let mut by_hour = [0_usize; 24];
        for session in generator.day(40).unwrap() {
            let start = Timestamp::from_millisecond(session.started_at()).unwrap();
            by_hour[usize::try_from(start.to_zoned_datetime(generator.zone.clone()).hour()).unwrap()] += 1;
        }
        assert!(by_hour[20] > by_hour[3] * 5, "{by_hour:?}");
    }

    #[test]
    fn people_come_back_and_versions_roll_out() {
        let generator = generator();
        let people = |day: u32| -> HashSet<String> {
            generator
                .day(day)
                .unwrap()
                .iter()
                .filter_map(|session| session.device_id().map(str::to_owned))
                .collect()
        };
        let (before, after) = (people(40), people(41));
        let returning = before.intersection(&after).count() as f64 / after.len() as f64;
        assert!((0.2..0.6).contains(&returning), "{returning}");

        let versions = |day: u32| -> HashMap<bool, usize> {
            generator
                .day(day)
                .unwrap()
                .iter()
                .fold(HashMap::new(), |mut counts, session| {
                    *counts
                        .entry(session.properties().as_str().contains(r#""app_version":"5.0""#))
                        .or_default() += 1;
                    counts
                })
        };
        assert_eq!(versions(LAUNCH_DAY - 1).get(&true), None);
        assert!(versions(LAUNCH_DAY + 2)[&true] < versions(LAUNCH_DAY + 15)[&true] * 2);
        assert!(versions(LAUNCH_DAY + 15)[&true] > versions(LAUNCH_DAY + 15)[&false]);
    }
}
