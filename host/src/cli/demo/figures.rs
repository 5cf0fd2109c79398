//! Numbers for people.

use std::time::Duration;

/// `26,004`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1.23 ms`
pub fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// The latency that `percent` of the messages stay below or meet. Nothing came, nothing waited.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
    if rank >= times.len() { Duration::ZERO } else { *times.select_nth_unstable(rank).1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (26_004, "26,004"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_percentile_is_the_smallest_that_so_many_do_not_pass() {
        let mut times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        for (percent, expected) in [(1, 1), (50, 50), (99, 99), (100, 100)] {
            assert_eq!(percentile(&mut times, percent), Duration::from_millis(expected));
        }
        assert_eq!(percentile(&mut [Duration::from_secs(7)], 50), Duration::from_secs(7));
        assert_eq!(percentile(&mut [], 99), Duration::ZERO);
    }
}
