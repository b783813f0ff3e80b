//! Commands: each goes to the part of the loop that answers it, here and nowhere else.

use super::calls::{self, Change};
use super::files::PictureFrom;
use super::{Driver, net_refused};
use crate::board::Ask;
use crate::command::{Command, Reply};
use crate::error::{CommandError, ErrorCode};
use crate::store::Batch;
use crate::view::StateView;

/// Longest value of a setting, in bytes.
const MAX_SETTING: usize = 4096;

impl Driver {
    /// Answers a command, or passes it on to what will: a device takes its time, for which the loop does not wait.
    pub(super) async fn handle_request(&mut self, command: Command, reply: calls::Answer) {
        let answer = match command {
            Command::ProfileShow {} => Ok(Reply::Profile { profile: self.me.view() }),
            Command::ProfileRename { name } => self.profile_rename(&name).await,
            Command::State {} => Ok(Reply::State { state: Box::new(self.state()) }),
            Command::RoomCreate { name, approval, full_history } => self.room_create(name, approval, full_history).await,
            Command::RoomList {} => Ok(Reply::Rooms { rooms: self.room_views() }),
            Command::RoomShow { room } => self.room_view(room).map(|room| Reply::Room { room }),
            Command::RoomInvite { room, role, uses, expires_s, approval } => {
                self.room_invite(room, role.into(), uses, expires_s, approval).await
            }
            Command::RoomJoin { link, address } => self.room_join(&link, address.as_deref()).await,
            Command::RoomSpeak { room, role } => self.room_speak(room, role.into()).await,
            Command::RoomSpeakEnd { room, number } => self.room_speak_end(room, number).await,
            Command::RoomHearCancel {} => self.room_hear_cancel().await,
            Command::RoomJoinCancel { room } => self.room_join_cancel(room).await,
            Command::RoomApprove { room, device } => self.room_answer(room, device, true).await,
            Command::RoomRefuse { room, device } => self.room_answer(room, device, false).await,
            Command::RoomRole { room, device, role } => self.room_role(room, device, role.into()).await,
            Command::RoomRevoke { room, device } => self.room_revoke(room, device).await,
            Command::RoomCloseInvite { room, invite } => self.room_close_invite(room, invite).await,
            Command::RoomLeave { room } => self.room_leave(room).await,
            Command::RoomDelete { room } => self.room_delete(room).await,
            Command::DeviceList {} => Ok(self.device_list()),
            Command::DeviceCode {} => Ok(self.device_code()),
            Command::DeviceAdd { code } => self.device_add(&code).await,
            Command::DeviceAccept { code } => self.device_accept(&code).await,
            Command::DeviceRemove { device } => self.device_remove(device).await,
            Command::IdentityExport { passphrase } => return self.identity_export(passphrase, reply),
            Command::VerifyShow { room, device } => return self.verify_show(room, device, reply),
            Command::VerifyConfirm { room, device, scanned: Some(scanned) } => {
                return self.verify_scan(room, device, scanned, reply);
            }
            Command::VerifyConfirm { room, device, scanned: None } => self.verify_confirm(room, device).await,
            Command::VerifyAccept { room, device } => self.verify_accept(room, device).await,
            Command::VerifyClear { room, device } => self.verify_clear(room, device).await,
            Command::ChatSend { room, body, reply_to } => self.chat_send(room, &body, reply_to).await,
            Command::ChatEdit { room, message, body } => self.chat_edit(room, message, &body).await,
            Command::ChatDelete { room, message } => self.chat_delete(room, message).await,
            Command::ChatReact { room, message, emoji, on } => self.chat_react(room, message, &emoji, on).await,
            Command::ChatRead { room, limit, before } => self.chat_read(room, limit, before),
            Command::ChatSearch { query, room, limit } => self.chat_search(&query, room, limit),
            Command::ChatMarkRead { room, message } => self.chat_mark_read(room, message).await,
            Command::FileShare { room, path } => return self.file_share(room, path, reply),
            Command::FileList { room } => self.file_list(room),
            Command::FileGet { room, file, to } => self.file_get(room, file, to).await,
            Command::FilePause { room, file } => self.file_pause(room, file).await,
            Command::FileResume { room, file } => self.file_resume(room, file).await,
            Command::FileCancel { room, file } => self.file_cancel(room, file).await,
            Command::FileRemove { room, file } => self.file_remove(room, file).await,
            Command::FileSeed { room, file } => self.file_seed(room, file).await,
            Command::FileLimits { up_kib, down_kib } => self.file_limits(up_kib, down_kib).await,
            Command::BoardShow { room } => return self.board_ask(room, Ask::Show, reply),
            Command::BoardPage { room, page, moment } => return self.board_ask(room, Ask::Page { page, moment }, reply),
            Command::BoardEdit { room, page, edits, gesture } => {
                return self.board_ask(room, Ask::Edit { page, edits, gesture }, reply);
            }
            Command::BoardPages { room, edit } => return self.board_ask(room, Ask::Pages(edit), reply),
            Command::BoardUndo { room, redo } => return self.board_ask(room, Ask::Undo { redo }, reply),
            Command::BoardHistory { room, page } => return self.board_ask(room, Ask::History { page }, reply),
            Command::BoardRestore { room, page, moment } => {
                return self.board_ask(room, Ask::Restore { page, moment }, reply);
            }
            Command::BoardExport { room, page, format, path } => {
                let pictures = self.picture_shelf(room);
                return self.board_ask(room, Ask::Export { page, format, path, pictures }, reply);
            }
            Command::BoardImport { room, page, path } => return self.board_ask(room, Ask::Import { page, path }, reply),
            Command::BoardAddPicture { room, path: Some(path), data: None } => {
                return self.picture_add(room, PictureFrom::Path(path), Some(reply));
            }
            Command::BoardAddPicture { room, path: None, data: Some(data) } => {
                return self.picture_add(room, PictureFrom::Bytes(data.0.to_vec()), Some(reply));
            }
            Command::BoardAddPicture { .. } => {
                Err(CommandError::new(ErrorCode::BadRequest, "A picture has a path or data, one of them."))
            }
            Command::BoardPicture { room, image, to, data } => return self.picture_show(room, image, (to, data), reply).await,
            Command::BoardLive { room, live } => self.board_live(room, &live),
            Command::CallLeave {} => self.call_leave(),
            Command::CallDeafen { on } => self.call_deafen(on),
            Command::TeamRegister { link, name } => return self.team_register(&link, name, reply),
            Command::TeamLogin { link } => return self.team_login(link.as_deref(), reply),
            Command::TeamLogout {} => self.team_logout().await,
            Command::TeamShow {} => Ok(Reply::Team { team: self.team_view() }),
            Command::CallHand { on } => self.call_hand(on),
            Command::CallReact { emoji } => self.call_react(emoji),
            Command::CallHost { act, device } => self.call_host(act, device),
            Command::CallVolume { device, volume } => self.call_volume(device, volume),
            Command::MediaSound { echo, noise, gain, chimes } => self.media_sound((echo, noise, gain, chimes)).await,
            Command::MediaMeter { source } => return self.media_meter(source, reply),
            Command::MediaTry { sink, source, seconds } => return self.media_try(sink, source, seconds, reply),
            Command::NetPeers {} => Ok(Reply::Peers { peers: self.peer_views() }),
            Command::NetDial { address } => self.net_dial(&address).await,
            Command::NetDiagnose {} => self.net_diagnose().await,
            Command::SettingGet { key } => self.setting_get(key).await,
            Command::SettingSet { key, value } => self.setting_set(&key, value.as_deref()).await,
            Command::CallJoin { room, mic, mic_on, camera, speaker } => self.call_join_with(room, (mic, mic_on), camera, speaker),
            Command::CallMic { on, source } => return self.change(Change::Mic { source, on }, Some(reply)),
            Command::CallCamera { source } => return self.change(Change::Camera(source), Some(reply)),
            Command::CallScreen { source, content, fps, height } => match calls::share(content, fps, height) {
                Ok(share) => return self.change(Change::Screen(source, share), Some(reply)),
                Err(error) => Err(error),
            },
            Command::CallSpeaker { sink } => return self.change(Change::Speaker(sink), Some(reply)),
            Command::CallRecord { dir } => return self.change(Change::Record(dir), Some(reply)),
            Command::MediaDevices {} => return calls::list_devices(reply),
            Command::MediaPreview { source } => return self.media_preview(source, reply),
            // The loop ends by it and answers then.
            Command::Shutdown {} | Command::Wipe { everything: true } => Ok(Reply::Done {}),
            Command::Wipe { everything: false } => {
                Err(CommandError::new(ErrorCode::BadRequest, "Say that everything is meant: `everything` is true."))
            }
        };
        self.tell_changes();
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }

    fn state(&self) -> StateView {
        StateView {
            profile: self.me.view(),
            rooms: self.room_views(),
            joins: self.joins.views().into_iter().chain(self.spoken.hearing_view()).collect(),
            call: self.call_view(),
            peers: self.peer_views(),
        }
    }

    async fn net_dial(&mut self, address: &str) -> Result<Reply, CommandError> {
        let addresses = crate::net::address::parse_dial(address)
            .map_err(|error| CommandError::new(ErrorCode::BadRequest, error.to_string()))?;
        self.net.dial(None, addresses).await.map_err(net_refused)?;
        Ok(Reply::Done {})
    }

    async fn net_diagnose(&self) -> Result<Reply, CommandError> {
        Ok(Reply::Diagnosis { diagnosis: self.net.diagnosis().await.map_err(net_refused)? })
    }

    async fn setting_get(&self, key: String) -> Result<Reply, CommandError> {
        check_setting(&key, None)?;
        Ok(Reply::Setting { value: self.store.read(move |store| store.setting(&key)).await? })
    }

    async fn setting_set(&self, key: &str, value: Option<&str>) -> Result<Reply, CommandError> {
        check_setting(key, value)?;
        self.store.commit(Batch::new().setting(key, value)).await?;
        Ok(Reply::Done {})
    }
}

fn check_setting(key: &str, value: Option<&str>) -> Result<(), CommandError> {
    if key.is_empty() || key.len() > 128 || value.is_some_and(|value| value.len() > MAX_SETTING) {
        return Err(CommandError::new(ErrorCode::BadRequest, "A setting has a name of 1 to 128 bytes and at most 4 KiB."));
    }
    Ok(())
}
