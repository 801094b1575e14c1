//! What stands at the axes.

/// Numbers for the axis: from 0, in steps of 1, 2 or 5 times a power of ten, up to where the greatest value fits.
pub(super) fn ticks(greatest: f64, at_most: usize, whole: bool) -> Vec<f64> {
    let greatest = if greatest.is_finite() {
        greatest.max(0.0)
    } else {
        0.0
    };
    if greatest == 0.0 {
        return vec![0.0, 1.0];
    }
    let at_most = at_most.max(1);
    let room = greatest / at_most as f64;
    let power = 10_f64.powf(room.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= room * (1.0 - 1e-9))
        .unwrap_or(power * 10.0);
    let step = if whole { step.max(1.0) } else { step };
    let count = (greatest / step - 1e-9).ceil().max(1.0) as usize;
    (0..=count).map(|index| index as f64 * step).collect()
}

/// Every how many units a label has room; whole weeks where days are many, so that one weekday stands under all.
pub(super) fn every(units: usize, room: f64, needed: f64, steps: &[usize]) -> usize {
    if units < 2 {
        return 1;
    }
    let distance = room / (units - 1) as f64;
    let fits = |step: &&usize| **step as f64 * distance >= needed;
    let fallback = (needed / distance).ceil().max(1.0) as usize;
    steps.iter().find(fits).copied().unwrap_or(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_the_axis_are_round_and_reach_the_greatest_value() {
        assert_eq!(
            ticks(2_375.0, 5, true),
            [0.0, 500.0, 1_000.0, 1_500.0, 2_000.0, 2_500.0]
        );
        assert_eq!(ticks(3.0, 5, true), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(ticks(1.0, 5, true), [0.0, 1.0]);
        assert_eq!(ticks(0.0, 5, true), [0.0, 1.0]);
        assert_eq!(ticks(f64::NAN, 5, false), [0.0, 1.0]);
        assert_eq!(ticks(10.0, 5, true), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        let small = ticks(0.116, 4, false);
        assert!(
            small.len() <= 5 && small.last().is_some_and(|last| *last >= 0.116),
            "{small:?}"
        );
        for greatest in [7.0, 99.0, 101.0, 12_345.0, 9e15] {
            let ticks = ticks(greatest, 5, true);
            assert!((2..=6).contains(&ticks.len()), "{greatest}: {ticks:?}");
            assert!(ticks.last().is_some_and(|last| *last >= greatest * (1.0 - 1e-9)));
        }
    }

    #[test]
    fn labels_stand_where_they_have_room() {
        const DAYS: [usize; 5] = [1, 2, 3, 7, 14];
        assert_eq!(every(28, 1_000.0, 60.0, &DAYS), 2);
        assert_eq!(every(28, 270.0, 50.0, &DAYS), 7);
        assert_eq!(every(91, 1_000.0, 60.0, &DAYS), 7);
        assert_eq!(every(1, 1_000.0, 60.0, &DAYS), 1);
        assert_eq!(every(2, 10.0, 60.0, &DAYS), 7);
        assert_eq!(every(100, 100.0, 60.0, &DAYS), 60);
    }
}
