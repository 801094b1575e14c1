//! Dates as days since 1970-01-01, in the proleptic Gregorian calendar.
//!
//! Plain integers reach beyond 9999-12-31, where the end of the last day lies, and cost a few nanoseconds a label.
//! The algorithms are Howard Hinnant's `days_from_civil` and `civil_from_days`.

/// Seconds of a day without a change of offset.
pub(super) const DAY: i64 = 86_400;

/// A civil date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

impl Date {
    /// The day before.
    pub(super) fn previous(self) -> Self {
        match self.day {
            1 => date_from_days(days_from_date(self) - 1),
            day => Self { day: day - 1, ..self },
        }
    }
}

/// Days from 1970-01-01 to the date; the date must exist.
pub(super) fn days_from_date(date: Date) -> i64 {
    let year = if date.month <= 2 { date.year - 1 } else { date.year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (date.month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date that many days after 1970-01-01.
pub(super) fn date_from_days(days: i64) -> Date {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    Date {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
    }
}

/// How many days the month has.
pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_agrees_with_jiff() {
        let mut date = jiff::civil::date(1600, 1, 1);
        let epoch = jiff::civil::date(1970, 1, 1);
        let mut days = i64::from((date - epoch).get_days());
        while let Ok(next) = date.tomorrow() {
            let (year, month, day) = (date.year().into(), date.month().into(), date.day().into());
            assert_eq!(date_from_days(days), Date { year, month, day });
            assert_eq!(days_from_date(Date { year, month, day }), days);
            assert_eq!(date_from_days(days + 1).previous(), date_from_days(days));
            assert_eq!(days_in_month(year, month), i64::from(date.days_in_month()));
            date = next;
            days += 1;
        }
        assert_eq!(
            date_from_days(days + 1),
            Date {
                year: 10_000,
                month: 1,
                day: 1
            }
        );
    }
}
