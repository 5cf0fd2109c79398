//! A server that hangs on a message: nothing behind it is ever acknowledged on that connection.

use super::*;
use crate::message::QoS;
use crate::mqtt::Version::V5;

/// Acknowledges until it hangs, and then hears and says nothing, or answers pings.
async fn serve(peer: &mut Peer, hangs_on: fn(&str) -> bool, answers_pings: bool, arrived: &mut Vec<String>) {
    let mut hangs = false;
    loop {
        match peer.hear().await {
            Heard::Publish { qos: 0, text, .. } => arrived.push(text),
            Heard::Publish { text, .. } if hangs || hangs_on(&text) => hangs = true,
            Heard::Publish { id, text, .. } => {
                arrived.push(text);
                peer.puback(id).await;
            }
            Heard::PingReq if answers_pings || !hangs => peer.send(&[0xD0, 0]).await,
            Heard::Gone | Heard::Disconnect => return,
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_message_on_which_the_server_hangs_is_a_dead_letter_and_the_rest_goes_on() {
    for answers_pings in [true, false] {
        let mut bench = Bench::new(V5);
        bench.commit(QoS::AtLeastOnce, "mute");
        (0..25).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
        let mut arrived = Vec::new();
        let mut connections = 0;
        while bench.spool.waiting() > 0 && connections < 20 {
            let (mut peer, _) = bench.welcome(connections > 0).await;
            connections += 1;
            tokio::select! {
                () = serve(&mut peer, |text| text == "mute", answers_pings, &mut arrived) => {}
                () = bench.drained() => {}
            }
        }
        assert_eq!((bench.letters.texts(), arrived.len()), (vec!["mute".to_owned()], 25), "{answers_pings}");
        assert!(connections <= 8, "{connections} connections");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_on_everything_makes_no_dead_letters_and_gets_qos_0() {
    for answers_pings in [true, false] {
        let mut bench = Bench::new(V5);
        (0..30).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
        let mut arrived = Vec::new();
        for n in 0..40 {
            let (mut peer, _) = bench.welcome(n > 0).await;
            if n == 20 && answers_pings {
                bench.commit(QoS::AtMostOnce, "at most once");
            }
            serve(&mut peer, |_| true, answers_pings, &mut arrived).await;
        }
        assert_eq!((bench.letters.texts(), bench.spool.waiting(), arrived.len()), (vec![], 30, answers_pings.into()));
    }
}
