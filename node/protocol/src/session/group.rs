//! One MLS group of a session: what may be in it, its epochs, and what a member keeps of them. It never takes a leaf whose credential,
//! signature key and device are not one, and never an extension.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::*;
use openmls_traits::OpenMlsProvider;
use zeroize::Zeroizing;

use crate::id::{DeviceId, OpHash, SessionId};
use crate::session::desk::Desk;
use crate::session::message::{AppFrame, CommitFrame, Statement, authenticator};
use crate::session::provider::{MlsSigner, Provider};
use crate::session::{Export, RefusalKind};
use crate::wire::Signed;

/// RFC 9420, 17.1, number 3.
pub(crate) const CIPHERSUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
/// What an application message is padded to a multiple of, in bytes.
const PADDING: usize = 64;
/// How many messages of a sender may come out of order, and how many may be missed in a row. A member may be out of reach of another
/// for most of an epoch.
const OUT_OF_ORDER: u32 = 64;
const MISSED: u32 = 8_192;
/// Epochs before the current one whose messages can still be read. How long is for the machine to say.
const PAST_EPOCHS: usize = 2;
/// Commits kept for those who fetch them.
const MAX_COMMITS: usize = 32;
const MAX_COMMIT_BYTES: usize = 512 * 1024;
/// Statements kept to be compared with what others were told.
const MAX_STATEMENTS: usize = 64;
/// Commits that wait for one before them or for the ACL log.
pub(crate) const MAX_WAITING: usize = 16;
/// Application messages that wait for their epoch.
pub(crate) const MAX_EARLY: usize = 128;

/// A commit that cannot be judged yet.
#[derive(Debug)]
pub(crate) struct WaitingCommit {
    pub(crate) frame: CommitFrame,
    pub(crate) from: DeviceId,
    pub(crate) since: Duration,
}

/// An application message of an epoch that has not begun here.
#[derive(Debug)]
pub(crate) struct EarlyApp {
    pub(crate) from: DeviceId,
    pub(crate) frame: AppFrame,
    pub(crate) since: Duration,
}

/// A session that this device is a member of.
pub(crate) struct Group {
    pub(crate) id: SessionId,
    pub(crate) writer: DeviceId,
    pub(crate) random: [u8; 32],
    pub(crate) mls: MlsGroup,
    pub(crate) provider: Provider,
    /// By leaf. One leaf a device.
    pub(crate) roster: BTreeMap<u32, DeviceId>,
    /// What the writer said of the current epoch.
    pub(crate) acl_heads: Vec<OpHash>,
    pub(crate) authenticator: [u8; 32],
    /// At most [`MAX_STATEMENTS`], by epoch.
    pub(crate) statements: VecDeque<(u64, Signed, [u8; 32])>,
    /// By the epoch they lead to.
    pub(crate) commits: VecDeque<(u64, CommitFrame)>,
    /// By the epoch they lead to; at most [`MAX_WAITING`].
    pub(crate) waiting: BTreeMap<u64, WaitingCommit>,
    /// At most [`MAX_EARLY`].
    pub(crate) early: VecDeque<EarlyApp>,
    /// When this device came into it.
    pub(crate) entered_at: Duration,
    /// When each member was last heard in this session, by this device or by another member.
    pub(crate) alive: BTreeMap<DeviceId, Duration>,
    /// Members that said that they go, and when.
    pub(crate) left: BTreeMap<DeviceId, Duration>,
    /// When each member was added, as far as this device was there.
    pub(crate) added: BTreeMap<DeviceId, Duration>,
    /// Whose JoinReq the writer owes an answer, since when, and when it was last asked for.
    pub(crate) owed: BTreeMap<DeviceId, (Duration, Duration)>,
    /// The roster holds a device that does not belong to the room, since then.
    pub(crate) tainted_since: Option<Duration>,
    /// A later epoch is known since, and not reached.
    pub(crate) behind_since: Option<Duration>,
    pub(crate) fetched_at: Option<Duration>,
    /// When the keys of past epochs are to be forgotten.
    pub(crate) forget_at: Option<Duration>,
    /// An Update proposal of this device for the current epoch, as it is to be committed.
    pub(crate) update: Option<Box<QueuedProposal>>,
    /// When a leaf key of this device was last made.
    pub(crate) refreshed_at: Duration,
    /// The writer's own.
    pub(crate) desk: Option<Desk>,
}

impl core::fmt::Debug for Group {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Group").field("id", &self.id).field("epoch", &self.epoch()).field("size", &self.roster.len()).finish()
    }
}

pub(crate) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .padding_size(PADDING)
        .max_past_epochs(PAST_EPOCHS)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(true)
        .sender_ratchet_configuration(SenderRatchetConfiguration::new(OUT_OF_ORDER, MISSED))
        .build()
}

/// Valid whatever the clock says: a KeyPackage lives in RAM, for one session, and is used once, so a time in it would only lock out
/// whose clock is wrong.
fn lifetime() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

fn capabilities() -> Capabilities {
    Capabilities::new(None, Some(&[CIPHERSUITE]), None, None, Some(&[CredentialType::Basic]))
}

fn credential(device: DeviceId) -> CredentialWithKey {
    CredentialWithKey {
        credential: BasicCredential::new(device.as_bytes().to_vec()).into(),
        signature_key: device.as_bytes().to_vec().into(),
    }
}

/// A KeyPackage of this device, and its reference (RFC 9420, 5.2); its private keys stay in the provider.
pub(crate) fn key_package(provider: &Provider, signer: &MlsSigner) -> Option<(Vec<u8>, KeyPackageRef)> {
    let bundle = KeyPackage::builder()
        .key_package_lifetime(lifetime())
        .leaf_node_capabilities(capabilities())
        .build(CIPHERSUITE, provider, signer, credential(signer.0.id()))
        .ok()?;
    let reference = bundle.key_package().hash_ref(provider.crypto()).ok()?;
    Some((bundle.key_package().tls_serialize_detached().ok()?, reference))
}

/// Reads a KeyPackage of a device.
pub(crate) fn read_key_package(
    bytes: &[u8],
    device: &DeviceId,
    provider: &Provider,
) -> Result<(KeyPackage, OpHash), RefusalKind> {
    let key_package = KeyPackageIn::tls_deserialize_exact(bytes)
        .map_err(|_| RefusalKind::BadKeyPackage)?
        .validate(provider.crypto(), ProtocolVersion::Mls10)
        .map_err(|_| RefusalKind::BadKeyPackage)?;
    check_key_package(&key_package, device)?;
    Ok((key_package, super::message::hash(bytes)))
}

pub(crate) fn check_key_package(key_package: &KeyPackage, device: &DeviceId) -> Result<(), RefusalKind> {
    if key_package.ciphersuite() != CIPHERSUITE || key_package.extensions().iter().next().is_some() {
        return Err(RefusalKind::BadKeyPackage);
    }
    if leaf_device(key_package.leaf_node())? == *device { Ok(()) } else { Err(RefusalKind::ForeignLeaf) }
}

/// The device of a leaf: its credential and its signature key alike.
pub(crate) fn leaf_device(leaf: &LeafNode) -> Result<DeviceId, RefusalKind> {
    if leaf.extensions().iter().next().is_some() {
        return Err(RefusalKind::Extensions);
    }
    device_of(leaf.credential(), leaf.signature_key().as_slice())
}

fn device_of(credential: &Credential, signature_key: &[u8]) -> Result<DeviceId, RefusalKind> {
    let credential = BasicCredential::try_from(credential.clone()).map_err(|_| RefusalKind::ForeignLeaf)?;
    let device = DeviceId::from_slice(credential.identity()).ok_or(RefusalKind::ForeignLeaf)?;
    if device.as_bytes() == signature_key { Ok(device) } else { Err(RefusalKind::ForeignLeaf) }
}

/// Reads who is in a group: one leaf a device, each leaf its device's.
pub(crate) fn read_roster(members: impl Iterator<Item = Member>) -> Result<BTreeMap<u32, DeviceId>, RefusalKind> {
    let mut roster = BTreeMap::new();
    for member in members {
        let device = device_of(&member.credential, &member.signature_key)?;
        if roster.values().any(|other| *other == device) {
            return Err(RefusalKind::TwoLeaves);
        }
        roster.insert(member.index.u32(), device);
    }
    Ok(roster)
}

/// Reads an MLS message that must be a PrivateMessage: so nobody who is not in the group can be its sender, and no external commit,
/// external proposal or NewMemberCommit gets any further (RFC 9420, 12.4.3.2: they are always PublicMessages).
pub(crate) fn read_private(bytes: &[u8]) -> Result<ProtocolMessage, RefusalKind> {
    let message = MlsMessageIn::tls_deserialize_exact(bytes).map_err(|_| RefusalKind::Malformed)?;
    match message.extract() {
        MlsMessageBodyIn::PrivateMessage(message) => Ok(message.into()),
        MlsMessageBodyIn::PublicMessage(_) => Err(RefusalKind::ExternalCommit),
        _ => Err(RefusalKind::Malformed),
    }
}

impl Group {
    /// A new session of one, of which this device is the writer.
    pub(crate) fn create(
        id: SessionId,
        random: [u8; 32],
        provider: Provider,
        signer: &MlsSigner,
        acl_heads: Vec<OpHash>,
        sign: impl FnOnce(&Statement) -> Signed,
        now: Duration,
    ) -> Option<Self> {
        let writer = signer.0.id();
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(CIPHERSUITE)
            .lifetime(lifetime())
            .capabilities(capabilities())
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .padding_size(PADDING)
            .max_past_epochs(PAST_EPOCHS)
            .number_of_resumption_psks(0)
            .use_ratchet_tree_extension(true)
            .sender_ratchet_configuration(SenderRatchetConfiguration::new(OUT_OF_ORDER, MISSED))
            .build();
        let group_id = GroupId::from_slice(id.as_bytes());
        let mls = MlsGroup::new_with_group_id(&provider, signer, &config, group_id, credential(writer)).ok()?;
        let authenticator = authenticator(mls.epoch_authenticator().as_slice());
        let statement =
            Statement { writer, random, epoch: 0, authenticator, acl_heads: acl_heads.clone(), commit: None, welcome: None };
        let signed = sign(&statement);
        let mut group = Self::new(mls, provider, &statement, id, BTreeMap::from([(0, writer)]), now);
        group.remember_statement(0, signed, authenticator);
        group.desk = Some(Desk::new(now));
        Some(group)
    }

    /// A group whose roster and statement were judged.
    pub(crate) fn new(
        mls: MlsGroup,
        provider: Provider,
        statement: &Statement,
        id: SessionId,
        roster: BTreeMap<u32, DeviceId>,
        now: Duration,
    ) -> Self {
        let alive = roster.values().map(|device| (*device, now)).collect();
        Self {
            id,
            writer: statement.writer,
            random: statement.random,
            mls,
            provider,
            roster,
            acl_heads: statement.acl_heads.clone(),
            authenticator: statement.authenticator,
            statements: VecDeque::new(),
            commits: VecDeque::new(),
            waiting: BTreeMap::new(),
            early: VecDeque::new(),
            entered_at: now,
            alive,
            left: BTreeMap::new(),
            added: BTreeMap::new(),
            owed: BTreeMap::new(),
            tainted_since: None,
            behind_since: None,
            fetched_at: None,
            forget_at: None,
            update: None,
            refreshed_at: now,
            desk: None,
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    pub(crate) fn size(&self) -> u32 {
        u32::try_from(self.roster.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn has(&self, device: &DeviceId) -> bool {
        self.roster.values().any(|other| other == device)
    }

    pub(crate) fn leaf_of(&self, device: &DeviceId) -> Option<u32> {
        self.roster.iter().find(|(_, other)| *other == device).map(|(leaf, _)| *leaf)
    }

    /// What the writer said of an epoch, if it is still known.
    pub(crate) fn statement_of(&self, epoch: u64) -> Option<(&Signed, &[u8; 32])> {
        self.statements.iter().find(|(other, ..)| *other == epoch).map(|(_, signed, authenticator)| (signed, authenticator))
    }

    pub(crate) fn remember_statement(&mut self, epoch: u64, signed: Signed, authenticator: [u8; 32]) {
        self.statements.push_back((epoch, signed, authenticator));
        if self.statements.len() > MAX_STATEMENTS {
            self.statements.pop_front();
        }
    }

    pub(crate) fn remember_commit(&mut self, epoch: u64, frame: CommitFrame) {
        self.commits.push_back((epoch, frame));
        let bytes = |commits: &VecDeque<(u64, CommitFrame)>| commits.iter().map(|(_, frame)| frame.mls.len()).sum::<usize>();
        while self.commits.len() > MAX_COMMITS || (self.commits.len() > 1 && bytes(&self.commits) > MAX_COMMIT_BYTES) {
            self.commits.pop_front();
        }
    }

    /// An exporter secret of the current epoch (RFC 9420, 8.5).
    pub(crate) fn export(&self, export: &Export) -> Option<Zeroizing<Vec<u8>>> {
        let secret = self.mls.export_secret(self.provider.crypto(), export.label, &export.context, export.length);
        secret.ok().map(Zeroizing::new)
    }

    /// Messages of the epochs before cannot be read any more.
    pub(crate) fn forget_past(&mut self) {
        self.forget_at = None;
        // The store of this provider cannot fail.
        let _ = self.mls.delete_past_epoch_secrets(&self.provider, PastEpochDeletion::delete_all());
    }
}
