//! The team of this device: registering, logging in and asking its node again happen beside the loop; what came of it is on disk before
//! it is used. Without the node everything goes on as it was.

use std::time::Duration;

use conclave_bootstrap_api::{Key, TeamLink};
use libp2p::Multiaddr;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::Driver;
use crate::command::Reply;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::rtc::webrtc_transport::IceServer;
use crate::store::{Batch, Store, StoreError};
use crate::team::{self, Actor, Membership, Offer};
use crate::view::{ErrorView, TeamView};

const NOTE: &str = "team";
/// How often the node is asked again, and twice in the life of a credential for the relay of media where that is shorter.
const EVERY: Duration = Duration::from_secs(300);
/// Whatever life a node gives its credentials, it is not asked more often.
const LEAST: Duration = Duration::from_secs(5);
/// After it could not be reached; doubled for each further time.
const FIRST_WAIT: Duration = Duration::from_secs(2);

type Answer = oneshot::Sender<Result<Reply, CommandError>>;

/// What came of asking the node. `None`: a task that was ended.
pub(super) type TeamDone = Option<(Result<(Membership, Offer), CommandError>, Option<Answer>)>;

/// The membership, and what is under way.
pub(super) struct Team {
    membership: Option<Membership>,
    online: bool,
    problem: Option<ErrorView>,
    media_relay: bool,
    failures: u32,
    /// How often the node is asked while it answers.
    every: Duration,
    due: Option<Duration>,
    asking: JoinSet<(Result<(Membership, Offer), CommandError>, Option<Answer>)>,
    servers: watch::Sender<Vec<IceServer>>,
    told: Option<TeamView>,
}

impl Team {
    pub(super) fn load(store: &Store) -> Result<Self, StoreError> {
        let note = store.note(None, NOTE)?.filter(|note| !note.is_empty());
        let membership = note.and_then(|note| {
            serde_json::from_slice(&note).inspect_err(|error| tracing::error!(%error, "the note of the team cannot be read")).ok()
        });
        Ok(Self {
            due: membership.as_ref().map(|_: &Membership| Duration::ZERO),
            membership,
            online: false,
            problem: None,
            media_relay: false,
            failures: 0,
            every: EVERY,
            asking: JoinSet::new(),
            servers: watch::channel(Vec::new()).0,
            told: None,
        })
    }

    /// STUN and TURN, as they are known when somebody looks.
    pub(super) fn servers(&self) -> watch::Receiver<Vec<IceServer>> {
        self.servers.subscribe()
    }

    /// What came of the next question; `None` where there is none under way. Cancelling this loses nothing.
    pub(super) async fn done(&mut self) -> Option<TeamDone> {
        self.asking.join_next().await.map(Result::ok)
    }
}

impl Driver {
    fn actor(&self) -> Actor {
        Actor { device: self.me.device.clone(), account: Key(self.me.account.id().0) }
    }

    pub(super) fn team_view(&self) -> Option<TeamView> {
        let membership = self.team.membership.as_ref()?;
        Some(TeamView {
            team: membership.team.clone(),
            name: membership.name.clone(),
            url: membership.link.url.clone(),
            logged_in: membership.expires * 1000 > self.now_ms(),
            online: self.team.online,
            relayed: self.listening.iter().any(|address| address.contains("/p2p-circuit")),
            media_relay: self.team.media_relay,
            problem: self.team.problem.clone(),
        })
    }

    pub(super) fn team_register(&mut self, link: &str, name: Option<String>, answer: Answer) {
        let now = self.now_ms();
        let (actor, name) = (self.actor(), name.unwrap_or_else(|| self.me.name.clone()));
        let request = parse(link).and_then(|link| {
            let request = team::registration(&actor, &self.me.account, &link, &name, now)?;
            Ok((link, request))
        });
        match request {
            Ok((link, request)) => {
                self.team.asking.spawn(async move { (team::register(actor, link, request, now).await, Some(answer)) });
            }
            // For each answer here: whoever asked may have gone.
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    pub(super) fn team_login(&mut self, link: Option<&str>, answer: Answer) {
        let now = self.now_ms();
        let known = self.team.membership.clone();
        let link = match (link, &known) {
            (Some(text), _) => parse(text),
            (None, Some(known)) => Ok(known.link.clone()),
            (None, None) => Err(no_team()),
        };
        match link {
            Ok(link) => {
                // What is known of one team says nothing of another.
                let before = known.filter(|known| known.link.root == link.root);
                let actor = self.actor();
                self.team.asking.spawn(async move { (team::login(actor, link, before, now).await, Some(answer)) });
            }
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    pub(super) async fn team_logout(&mut self) -> Result<Reply, CommandError> {
        if self.team.membership.is_none() {
            return Err(no_team());
        }
        self.store.commit(Batch::new().note(None, NOTE, None)).await?;
        self.team.asking = JoinSet::new();
        (self.team.membership, self.team.due, self.team.online, self.team.media_relay) = (None, None, false, false);
        self.team.problem = None;
        self.team.servers.send_replace(Vec::new());
        self.net.set_relays(Vec::new()).await.map_err(super::net_refused)?;
        self.tell_team();
        Ok(Reply::Done {})
    }

    /// Asks the node again, where it is time.
    pub(super) fn handle_team_tick(&mut self) {
        let (now, now_ms) = (self.now(), self.now_ms());
        let Some(known) = self.team.membership.clone().filter(|_| self.team.due.is_some_and(|due| due <= now)) else { return };
        self.team.due = Some(now + self.team.every);
        let actor = self.actor();
        self.team.asking.spawn(async move { (team::refresh(actor, known, now_ms).await, None) });
    }

    pub(super) async fn handle_team_done(&mut self, done: TeamDone) {
        let Some((result, answer)) = done else { return };
        let said = match result {
            Ok((membership, offer)) => self.take_membership(membership, offer).await,
            Err(error) => {
                let view = ErrorView::from(error.clone());
                // What a person asked for is told to them alone.
                if answer.is_none() {
                    self.team.online = error.code != ErrorCode::Unreachable;
                    self.team.problem = Some(view.clone());
                    let wait = FIRST_WAIT.saturating_mul(1 << self.team.failures.min(7)).min(self.team.every);
                    self.team.failures = self.team.failures.saturating_add(1);
                    self.team.due = Some(self.now() + wait);
                    if error.code == ErrorCode::TeamFraud {
                        self.publish(Event::Problem { error: view });
                    }
                }
                Err(error)
            }
        };
        self.tell_team();
        if let Some(answer) = answer {
            let _ = answer.send(said.map(|()| Reply::Team { team: self.team_view() }));
        }
    }

    async fn take_membership(&mut self, membership: Membership, offer: Offer) -> Result<(), CommandError> {
        if self.team.membership.as_ref() != Some(&membership) {
            let note = serde_json::to_vec(&membership).unwrap_or_default();
            self.store.commit(Batch::new().note(None, NOTE, Some(&note))).await?;
        }
        let relays: Vec<Multiaddr> = offer.relays.iter().filter_map(|text| text.parse().ok()).collect();
        self.net.set_relays(relays).await.map_err(super::net_refused)?;
        self.team.every = offer.turn.as_ref().map_or(EVERY, |turn| Duration::from_secs(turn.ttl_s / 2).clamp(LEAST, EVERY));
        let servers = offer.turn.map(|turn| IceServer { urls: turn.urls, username: turn.username, password: turn.password });
        self.team.media_relay = servers.is_some();
        self.team.servers.send_replace(servers.into_iter().collect());
        self.team.membership = Some(membership);
        (self.team.online, self.team.problem, self.team.failures) = (true, None, 0);
        self.team.due = Some(self.now() + self.team.every);
        Ok(())
    }

    /// Tells how it stands with the team, where that changed.
    pub(super) fn tell_team(&mut self) {
        let view = self.team_view();
        if self.team.told != view {
            self.team.told.clone_from(&view);
            self.publish(Event::TeamChanged { team: view });
        }
    }
}

fn parse(text: &str) -> Result<TeamLink, CommandError> {
    TeamLink::parse(text).map_err(|error| {
        let code = match error {
            conclave_bootstrap_api::LinkError::Prefix => ErrorCode::LinkInvalid,
            _ => ErrorCode::LinkDamaged,
        };
        CommandError::new(code, format!("{error}."))
    })
}

fn no_team() -> CommandError {
    CommandError::new(ErrorCode::NoTeam, "This device belongs to no team.")
}
