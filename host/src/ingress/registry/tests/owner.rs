use super::*;
use crate::access::Identity;

fn of_user(fixture: &Fixture, client: &str, clean_start: bool, user: Option<&str>) -> Terms {
    let mut terms = fixture.terms(client, clean_start, 100);
    let (user, client) = (user.map(Into::into), client.into());
    terms.permit = fixture.registry.access.permit(Identity { user, client, listener: "devices".into() });
    terms
}

async fn open_as(fixture: &Fixture, client: &str, user: Option<&str>) -> Result<bool, Reason> {
    let terms = of_user(fixture, client, false, user);
    let opened = fixture.registry.open(&terms, tokio::time::Instant::now() + Duration::from_secs(10)).await?;
    let present = opened.present;
    fixture.registry.close(opened.session, ending(100, None));
    Ok(present)
}

#[tokio::test]
async fn a_session_that_is_away_goes_to_its_user_only_until_it_ends() {
    let fixture = fixture();
    assert_eq!(open_as(&fixture, "dev", Some("ann")).await, Ok(false));
    for other in [Some("bob"), Some("Ann"), Some(""), None] {
        assert_eq!(open_as(&fixture, "dev", other).await, Err(Reason::NOT_AUTHORIZED), "{other:?}");
    }
    assert_eq!(open_as(&fixture, "dev", Some("ann")).await, Ok(true));
    fixture.registry.sweep(later(101));
    assert_eq!(open_as(&fixture, "dev", Some("bob")).await, Ok(false));
}

#[tokio::test]
async fn one_that_nobody_has_proved_anything_for_belongs_to_who_comes_next() {
    let fixture = fixture();
    assert_eq!(open_as(&fixture, "dev", None).await, Ok(false));
    assert_eq!(open_as(&fixture, "dev", None).await, Ok(true));
    assert_eq!(open_as(&fixture, "dev", Some("ann")).await, Ok(true));
    assert_eq!(open_as(&fixture, "dev", None).await, Err(Reason::NOT_AUTHORIZED));
}

#[tokio::test]
async fn another_user_does_not_end_a_connection() {
    let fixture = fixture();
    let terms = of_user(&fixture, "dev", false, Some("ann"));
    let opened = fixture.registry.open(&terms, tokio::time::Instant::now() + Duration::from_secs(10)).await.unwrap();
    assert_eq!(open_as(&fixture, "dev", Some("bob")).await, Err(Reason::NOT_AUTHORIZED));
    let kicked = tokio::time::timeout(Duration::ZERO, opened.kicked.notified()).await;
    assert!(kicked.is_err(), "its connection was asked to leave");
    assert_eq!(fixture.registry.list()[0].user.as_deref(), Some("ann"));
}
