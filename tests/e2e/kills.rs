//! SIGKILL at random moments, a few of them: hundreds are for `cargo test --workspace --test reliability`.

use tidegate_tests::gateway::Launch;
use tidegate_tests::moments::Moments;
use tidegate_tests::trial::{Load, Trial};

const KILLS: usize = 5;

#[test]
fn kills_at_random_moments_cost_nothing_that_was_acknowledged_and_repeat_nothing_at_qos_2() {
    let mut trial = Trial::new(&Load { devices: 3, qos: vec![1, 2], ..Load::default() });
    let (mut moments, mut kills) = (Moments::anew(), 0);
    trial.start(&Launch::default());
    while kills < KILLS {
        trial.fleet.wait_for_more(50);
        kills += trial.kill_at_random(&mut moments);
        trial.start(&Launch::default());
    }
    trial.judge().assert_kept(KILLS * 50);
}
