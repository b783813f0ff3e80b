//! Calendar arithmetic for what is drawn beside a message. It reads no clock and no time zone: both are arguments.

/// A moment as a person here reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime {
    pub day: Day,
    pub hour: u8,
    pub minute: u8,
}

/// A day of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    pub year: i64,
    pub month: u8,
    pub day: u8,
}

impl LocalTime {
    /// `utc_ms` since the epoch, seen `offset_s` seconds east of UTC.
    pub fn at(utc_ms: u64, offset_s: i32) -> Self {
        let seconds = i64::try_from(utc_ms / 1000).unwrap_or(i64::MAX / 2).saturating_add(i64::from(offset_s));
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        Self { day: Day::from_epoch_days(days), hour: (rest / 3600) as u8, minute: (rest % 3600 / 60) as u8 }
    }

    /// `09:41`.
    pub fn hh_mm(self) -> String {
        format!("{:02}:{:02}", self.hour, self.minute)
    }
}

impl Day {
    // Days to civil date by eras of 400 years, the year beginning in March.
    fn from_epoch_days(days: i64) -> Self {
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u8;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u8;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day }
    }
}

/// `4:09`, or `1:04:09` from an hour on.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    let (h, m, s) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        let day = |ms, offset| LocalTime::at(ms, offset).day;
        assert_eq!(day(0, 0), Day { year: 1970, month: 1, day: 1 });
        assert_eq!(day(951_782_400_000, 0), Day { year: 2000, month: 2, day: 29 });
        assert_eq!(day(1_735_689_599_000, 0), Day { year: 2024, month: 12, day: 31 });
        assert_eq!(day(1_735_689_599_000, 3600), Day { year: 2025, month: 1, day: 1 });
        assert_eq!(LocalTime::at(1_735_689_599_000, -3600).hh_mm(), "22:59");
    }

    #[test]
    fn durations_grow_an_hour_field() {
        assert_eq!(duration(249_000), "4:09");
        assert_eq!(duration(3_849_000), "1:04:09");
    }
}
