//! The end of a session that has very much to delete.

use super::*;

#[tokio::test]
async fn a_session_with_many_long_filters_ends_in_records_that_have_room_in_any_segment() {
    let fixture = fixture();
    let client = "c".repeat(1_000);
    let mut device = fixture.connect(&client).await;
    // In two SUBSCRIBEs, so many as a session may have.
    let filters: Vec<String> = (0..240).map(|index| format!("{index}/{}", "f".repeat(1_000))).collect();
    let mailbox = device.session.mailbox().clone();
    for part in filters.chunks(120) {
        let options = SubscribeOptions::default();
        let requests = part.iter().map(|filter| SubscribeRequest { filter: filter.clone(), options }).collect();
        let packet = Subscribe { packet_id: 1, subscription_id: None, requests };
        let changed = device.session.subscribe(&fixture.registry.bus, &mailbox, &packet, 1_000);
        fixture.dispatcher.journal().change(changed.changes, Receipt::none());
    }
    let (before, state) = (fixture.dispatcher.journal().records(), fixture.state());
    fixture.registry.close(device.session, ending(0, None));
    assert_eq!(fixture.state(), [], "all of it is deleted");
    for record in before..fixture.dispatcher.journal().records() {
        let changes = fixture.dispatcher.journal().record(record);
        let bytes: usize = changes.iter().map(Change::weight).sum();
        assert!(bytes <= FAREWELL_BYTES + 2_000, "a record of {bytes} bytes");
        assert!(matches!(changes[0].key, Key::Session { .. }), "the next session is written after all of them");
    }
    assert!(!fixture.connect(&client).await.present);
    dies_in_between(state);
}

/// The first record is written, and the others are not.
fn dies_in_between(before: Vec<(Key, crate::spool::Value)>) {
    let left: Vec<_> = before.into_iter().filter(|(key, _)| !matches!(key, Key::Session { .. })).collect();
    let again = fixture();
    let held = left.iter().map(|(key, value)| Change::put(key.clone(), value.clone())).collect();
    again.dispatcher.journal().change(held, Receipt::none());
    assert_eq!((again.registry.restore(&left).sessions, again.state()), (0, vec![]));
}
