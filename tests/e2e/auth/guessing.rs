//! Ten thousand wrong passwords: few of them are tried, and who works goes on working.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

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

/// Behind a load balancer, as which it comes from this address. What it is answered, on a connection that is kept.
fn come(gateway: &Gateway, address: &str, connect: &Connect) -> (Raw, u8) {
    let (family, own) = if address.contains(':') { ("TCP6", "2001:db8::1") } else { ("TCP4", "10.0.0.1") };
    let header = format!("PROXY {family} {address} {own} 40000 1883\r\n");
    let mut device = Raw::open(gateway.address(), V5);
    device.send(&[header.into_bytes(), connect.encode()].concat());
    let reason = device.expect(wire::CONNACK).reason();
    (device, reason)
}

/// How many of these guesses were tried; the others were limited.
fn tried<'a>(gateway: &Gateway, guesses: impl Iterator<Item = (&'a str, &'a str)>) -> usize {
    let wrong = |(address, user)| match come(gateway, address, &Connect::new(V5, "g").user(user, "geraten")).1 {
        WRONG => true,
        LIMITED => false,
        other => panic!("{other:#x}"),
    };
    guesses.filter(|guess| wrong(*guess)).count()
}

#[test]
fn behind_a_load_balancer_the_address_is_that_of_the_device() {
    let gateway = asking("proxy_protocol = true", &[("victim", "v")]);
    let begun = Instant::now();
    // Of a pair one more in six seconds, of an address one more in a second.
    let at_most = |burst: usize, interval: u64| burst..=burst + (begun.elapsed().as_secs() / interval) as usize;
    let of_one = tried(&gateway, ["203.0.113.7"; 30].map(|address| (address, "victim")).into_iter());
    assert!(at_most(10, 6).contains(&of_one), "{of_one}");
    // The same one, as a socket for both families calls it.
    assert_eq!(come(&gateway, "::ffff:203.0.113.7", &Connect::new(V5, "g").user("victim", "v")).1, LIMITED);
    // Hosts of one customer of a provider, who has 2^64 of them.
    let hosts: Vec<String> = (1..=30).map(|host| format!("2001:db8:1:2::{host:x}")).collect();
    let of_one = tried(&gateway, hosts.iter().map(|address| (&**address, "victim")));
    assert!(at_most(10, 6).contains(&of_one), "{of_one}");
    let names: Vec<String> = (0..140).map(|number| format!("stranger{number}")).collect();
    let of_one = tried(&gateway, names.iter().map(|name| ("203.0.113.9", &**name)));
    assert!(at_most(100, 1).contains(&of_one), "{of_one}");
    for address in ["203.0.113.8", "2001:db8:1:3::1"] {
        assert_eq!(come(&gateway, address, &Connect::new(V5, "v").user("victim", "v")).1, 0, "{address}");
    }
    gateway.stop();
}

#[test]
fn who_is_guessed_at_from_everywhere_still_comes_from_where_it_always_did() {
    let gateway = asking("proxy_protocol = true", &[("victim", "v"), ("other", "o")]);
    let right = |address, user: &str, password| come(&gateway, address, &Connect::new(V5, user).user(user, password)).1;
    assert_eq!(right("198.51.100.1", "victim", "v"), 0);
    let addresses: Vec<String> = (0..16).map(|number| format!("203.0.113.{number}")).collect();
    let all = addresses.iter().flat_map(|address| std::iter::repeat_n((&**address, "victim"), 10));
    let tried = tried(&gateway, all);
    assert!((100..160).contains(&tried), "{tried}");
    assert_eq!(right("198.51.100.1", "victim", "v"), 0);
    assert_eq!(right("203.0.113.0", "other", "o"), 0, "another user of an address that guesses");
    gateway.stop();
}

/// Also when a test fails: a thread that goes on would hold it up.
struct OverWithThis<'a>(&'a AtomicBool);

impl Drop for OverWithThis<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The p99 of PUBACKs of a device, beside others that come and go all the time, each from an address of its own.
fn p99_beside(device: &mut Raw, others: &(dyn Fn(usize) + Sync)) -> Duration {
    const MESSAGES: usize = 200;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for other in 0..4 {
            let is_over = &is_over;
            scope.spawn(move || (0..).take_while(|_| !is_over.load(Relaxed)).for_each(|time| others(time * 4 + other)));
        }
        let _over = OverWithThis(&is_over);
        let mut waited: Vec<Duration> = (0..MESSAGES)
            .map(|_| {
                let sent = Instant::now();
                device.publish("t", "honest", 1);
                sent.elapsed()
            })
            .collect();
        waited.sort();
        waited[MESSAGES * 99 / 100]
    })
}

/// Where each guess is hashed, because it comes from an address that has not guessed before: beside as many who come without a password, for
/// which nothing is hashed. Both in turns, because other programs run on this machine.
#[test]
fn hashing_holds_no_message_up() {
    const ROUNDS: usize = 6;
    let home = home("proxy_protocol = true");
    for name in ["victim", "honest"] {
        assert_eq!(passwd(home.path(), &[FILE, name, "--stdin"], &format!("{name}\n")).0, Some(0));
    }
    let gateway = Gateway::launch(&home, &Launch::default());
    let honest = Connect::new(V5, "honest").user("honest", "honest");
    let (mut device, reason) = come(&gateway, "198.51.100.1", &honest);
    assert_eq!(reason, 0);
    let (number, hashed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let new_address = || {
        let number = number.fetch_add(1, Relaxed);
        format!("203.{}.{}.{}", number >> 16, number >> 8 & 0xFF, number & 0xFF)
    };
    let without = |_| assert_eq!(come(&gateway, &new_address(), &Connect::new(V5, "n").username("x")).1, WRONG);
    let guesses = |time: usize| {
        let connect = Connect::new(V5, "g").user(&format!("stranger{time}"), "geraten");
        match come(&gateway, &new_address(), &connect).1 {
            WRONG => hashed.fetch_add(1, Relaxed),
            reason => panic!("{reason:#x}"),
        };
    };
    let mut rounds = Vec::new();
    while rounds.len() < ROUNDS {
        let (beside_others, before) = (p99_beside(&mut device, &without), hashed.load(Relaxed));
        let beside_guesses = p99_beside(&mut device, &guesses);
        assert!(hashed.load(Relaxed) > before, "something was hashed");
        rounds.push((beside_others, beside_guesses));
        if beside_guesses <= 3 * beside_others {
            break;
        }
    }
    assert!(
        rounds.iter().any(|(others, guesses)| *guesses <= 3 * *others),
        "p99 beside others, and guesses: {rounds:?}"
    );
    gateway.stop();
}
