//! Messages of a room.

use std::fmt::Write;

use conclave_protocol::id::OpHash;

use super::text::{clean, day, moment, short, table};
use crate::view::MessageView;

pub(crate) fn messages(messages: &[MessageView]) -> String {
    if messages.is_empty() {
        return "No messages.\n".to_owned();
    }
    let width = messages.iter().map(|message| clean(&message.author_name).chars().count()).max().unwrap_or(0).min(20);
    let mut out = String::new();
    let mut shown_day = String::new();
    for message in messages {
        let day = day(message.sent_ms);
        if day != shown_day {
            let _ = writeln!(out, "── {day} (UTC) ──");
            shown_day = day;
        }
        let _ = writeln!(out, "{}", message_line(message, width, messages));
    }
    out
}

pub(super) fn message_line(message: &MessageView, width: usize, others: &[MessageView]) -> String {
    let time = moment(message.sent_ms);
    let time = time.get(11..).unwrap_or(&time);
    let mark = if message.unread { '•' } else { ' ' };
    let mut body = if message.deleted {
        "(deleted)".to_owned()
    } else if message.from_newer_version {
        "(from a newer version of Conclave)".to_owned()
    } else {
        let indent = format!("\n{:1$}", "", width + 10);
        message.body.split('\n').map(clean).collect::<Vec<_>>().join(&indent)
    };
    if let Some(reply_to) = &message.reply_to {
        body = format!("↳ {}: {body}", reply_target(reply_to, others));
    }
    if message.edited {
        body.push_str(" (edited)");
    }
    for reaction in &message.reactions {
        let _ = write!(body, " {}{}", clean(&reaction.emoji), reaction.by.len());
    }
    format!("{mark} {time}  {:<width$}  {body}  [{}]", clean(&message.author_name), short(&message.id))
}

fn reply_target(id: &OpHash, others: &[MessageView]) -> String {
    let target = others.iter().find(|message| message.id == *id);
    target.map_or_else(|| short(id), |message| format!("{} “{}”", clean(&message.author_name), excerpt(&message.body)))
}

fn excerpt(body: &str) -> String {
    let line = clean(body.split('\n').next().unwrap_or_default());
    if line.chars().count() > 30 { line.chars().take(29).chain(['…']).collect() } else { line }
}

pub(crate) fn found(messages: &[MessageView]) -> String {
    if messages.is_empty() {
        return "Nothing found.\n".to_owned();
    }
    let rows: Vec<_> = messages
        .iter()
        .map(|message| {
            vec![
                moment(message.sent_ms),
                clean(&message.author_name),
                message.body.split('\n').map(clean).collect::<Vec<_>>().join(" "),
                short(&message.id),
            ]
        })
        .collect();
    table(&rows)
}
