//! The many ways in which callers write `ending_at`.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

use super::naive::Ending;
use crate::support::random::Random;

/// Writes an instant (Unix seconds) in one of the accepted forms, ready to stand in a URL, and says what it means.
/// `None` leaves the parameter out.
pub fn write(random: &mut Random, zone: &TimeZone, at: i64) -> (Option<String>, Ending) {
    let instant = Timestamp::from_second(at).unwrap();
    match random.below(16) {
        0 => (None, Ending::Second(Timestamp::now().as_second())),
        1 | 2 if at < 100_000_000_000 => (Some(at.to_string()), Ending::Second(at)),
        3 | 4 => {
            let date = zone.to_datetime(instant).date();
            let form = *random.pick(&["%Y-%m-%d", "%Y%m%d"]);
            (Some(date.strftime(form).to_string()), Ending::Date(date))
        }
        5..=8 => {
            // Near a change of the offset this is a time that occurs twice, or never.
            let hours = if random.one_in(3) { random.range(-2, 3) } else { 0 };
            let shown = zone.to_datetime(instant).checked_add(hours.hours()).unwrap();
            let (text, shown) = clock_time(random, shown);
            (Some(text), Ending::Local(shown))
        }
        _ => {
            let (seconds, offset) = offset(random);
            let shown = Offset::from_seconds(seconds).unwrap().to_datetime(instant);
            let (text, shown) = clock_time(random, shown);
            let meant = Offset::UTC.to_timestamp(shown).unwrap().as_second() - i64::from(seconds);
            (Some(text + &offset), Ending::Second(meant))
        }
    }
}

/// A date and time, and what is left of it when seconds are not written.
fn clock_time(random: &mut Random, shown: DateTime) -> (String, DateTime) {
    let extended = !random.one_in(4);
    let separator = *random.pick(&["T", "T", "t", "%20", "+"]);
    let form = |extended_form: &str, basic_form: &str| {
        let form = if extended { extended_form } else { basic_form };
        form.replace('~', separator)
    };
    let midnight = shown.hour() == 0 && shown.minute() == 0 && shown.second() == 0;
    if midnight && random.one_in(2) {
        let day_before = shown.checked_sub(1.day()).unwrap();
        let form = form("%Y-%m-%d~24:00:00", "%Y%m%d~240000").replace("%20", "%%20");
        return (day_before.strftime(&form).to_string(), shown);
    }
    if random.one_in(3) {
        let shown = shown.with().second(0).build().unwrap();
        let form = form("%Y-%m-%d~%H:%M", "%Y%m%d~%H%M").replace("%20", "%%20");
        return (shown.strftime(&form).to_string(), shown);
    }
    let form = form("%Y-%m-%d~%H:%M:%S", "%Y%m%d~%H%M%S").replace("%20", "%%20");
    let fraction = *random.pick(&["", "", "", ".5", ",999", ".000000001", ".123456789012"]);
    (shown.strftime(&form).to_string() + fraction, shown)
}

/// Seconds east of UTC and one of the ways to write them.
fn offset(random: &mut Random) -> (i32, String) {
    let minutes = match random.below(4) {
        0 => 0,
        1 => random.range(-14, 15) as i32 * 60,
        2 => random.range(-12 * 4, 14 * 4 + 1) as i32 * 15,
        _ => random.range(-23 * 60, 23 * 60) as i32,
    };
    let sign = match minutes {
        ..0 => "-",
        // Unencoded, a plus becomes a space on its way.
        _ => *random.pick(&["%2B", "+"]),
    };
    let (hour, minute) = (minutes.abs() / 60, minutes.abs() % 60);
    let text = match random.below(5) {
        0 if minutes == 0 => (*random.pick(&["Z", "z"])).to_owned(),
        1 if minute == 0 => format!("{sign}{hour:02}"),
        2 if hour < 10 => format!("{sign}{hour}:{minute:02}"),
        3 => format!("{sign}{hour:02}{minute:02}"),
        _ => format!("{sign}{hour:02}:{minute:02}"),
    };
    (minutes * 60, text)
}
