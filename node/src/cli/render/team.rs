//! A team, for a person.

use super::clean;
use crate::view::TeamView;

pub(crate) fn team(team: Option<&TeamView>) -> String {
    let Some(team) = team else { return "This device belongs to no team.\n".to_owned() };
    let node = match (&team.problem, team.online) {
        (Some(problem), _) => clean(&problem.message),
        (None, true) => "answers".to_owned(),
        (None, false) => "not asked yet".to_owned(),
    };
    format!(
        "team   {}\nname   {}\nnode   {}  {node}\nrelay  {}\nmedia  {}\n",
        clean(&team.team),
        clean(&team.name),
        clean(&team.url),
        if team.relayed { "this device can be reached through it" } else { "not in use" },
        if team.media_relay { "STUN and TURN of the team are used" } else { "no STUN or TURN" },
    )
}
