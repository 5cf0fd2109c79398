//! Ten thousand wrong passwords: few of them are tried, and who works goes on working.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, V5};

use super::*;

const GUESSES: usize = 10_000;
const GUESSERS: usize = 8;

const WRONG: u8 = 0x86;
const LIMITED: u8 = 0x9F;
const BUSY: u8 = 0x89;

#[derive(Default)]
struct Answers {
    wrong: AtomicUsize,
    limited: AtomicUsize,
}

/// From one address, at a user that is there and at names that are not.
fn guess(gateway: &Gateway, answers: &Answers, guesser: usize) {
    for number in 0..GUESSES / GUESSERS {
        let user = if number % 2 == 0 { "victim".to_owned() } else { format!("stranger{guesser}-{number}") };
        match reason(gateway, &Connect::new(V5, &format!("g{guesser}")).user(&user, &format!("geraten{number}"))) {
            WRONG => answers.wrong.fetch_add(1, Relaxed),
            LIMITED | BUSY => answers.limited.fetch_add(1, Relaxed),
            other => panic!("{other:#x}"),
        };
    }
}

#[test]
fn of_ten_thousand_wrong_passwords_few_are_tried_and_honest_devices_go_on() {
    let gateway = asking("", &[("victim", "v"), ("honest", "h")]);
    let honest = || Connect::new(V5, "honest").user("honest", "h");
    let mut device = Raw::connect(gateway.address(), &honest()).0;
    let (answers, is_over, begun) = (Answers::default(), AtomicBool::new(false), Instant::now());
    let mut published = 0_usize;
    std::thread::scope(|scope| {
        let guessers: Vec<_> = (0..GUESSERS)
            .map(|guesser| {
                let (gateway, answers) = (&gateway, &answers);
                scope.spawn(move || guess(gateway, answers, guesser))
            })
            .collect();
        scope.spawn(|| {
            let ended: Vec<_> = guessers.into_iter().map(|guesser| guesser.join()).collect();
            is_over.store(true, Relaxed);
            assert!(ended.iter().all(Result::is_ok), "a guesser was answered something else");
        });
        while !is_over.load(Relaxed) {
            // Each waits for its PUBACK; and it may come back from the address that guesses, because it has come from there before.
            device.publish("t", "honest", 1);
            published += 1;
            if published.is_multiple_of(50) {
                device = Raw::connect(gateway.address(), &honest()).0;
            }
        }
    });
    let (wrong, limited) = (answers.wrong.load(Relaxed), answers.limited.load(Relaxed));
    // 100 at once and one in a second, and as many as were being hashed when the last token went.
    let most = 100 + 8 + usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    assert!((1..=most).contains(&wrong) && wrong + limited == GUESSES, "{wrong} tried of {most}, {limited} not");
    assert!(published >= 50, "{published} messages of the honest device");
    gateway.expect_count("logins_refused", GUESSES);
    let tells = |line: &str| line.contains("stranger") || line.contains("geraten");
    assert_eq!(gateway.log().count(tells), 0, "names that are not there, and passwords");
}
