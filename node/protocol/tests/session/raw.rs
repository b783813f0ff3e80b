//! A member that does as it likes: openmls by hand, with a device key of the world.

use std::sync::Arc;

use conclave_protocol::id::{DeviceId, OpHash, SessionId};
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::session::message::{
    CommitFrame, JoinReq, Presence, SessionFrame, Statement, WelcomeFrame, authenticator, session_id,
};
use conclave_protocol::session::{Acl, seal_presence};
use ed25519_dalek::{Signer as _, SigningKey};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::*;
use openmls_rust_crypto::{MemoryStorage, RustCrypto};
use openmls_traits::signatures::{Signer, SignerError};

use crate::support::Seeded;
use crate::world::{ROOM, SECRET, World};

pub const CIPHERSUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

#[derive(Default)]
pub struct TestProvider {
    crypto: RustCrypto,
    pub storage: MemoryStorage,
}

impl OpenMlsProvider for TestProvider {
    type CryptoProvider = RustCrypto;
    type RandProvider = RustCrypto;
    type StorageProvider = MemoryStorage;

    fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    fn crypto(&self) -> &RustCrypto {
        &self.crypto
    }

    fn rand(&self) -> &RustCrypto {
        &self.crypto
    }
}

pub struct TestSigner(SigningKey);

impl TestSigner {
    pub fn of(key: &DeviceKey) -> Self {
        Self(SigningKey::from_bytes(&key.seed()))
    }

    pub fn public(&self) -> Vec<u8> {
        self.0.verifying_key().to_bytes().to_vec()
    }
}

impl Signer for TestSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

pub struct Raw {
    pub node: usize,
    pub key: Arc<DeviceKey>,
    pub id: DeviceId,
    pub provider: TestProvider,
    pub signer: TestSigner,
    pub random: [u8; 32],
    pub group: Option<MlsGroup>,
    counter: u64,
}

pub fn credential(device: DeviceId, key: &TestSigner) -> CredentialWithKey {
    CredentialWithKey { credential: BasicCredential::new(device.0.to_vec()).into(), signature_key: key.public().into() }
}

pub fn key_package_of(provider: &TestProvider, signer: &TestSigner, device: DeviceId) -> KeyPackage {
    let bundle = KeyPackage::builder().build(CIPHERSUITE, provider, signer, credential(device, signer)).unwrap();
    bundle.key_package().clone()
}

impl Raw {
    /// Takes the place of a node.
    pub fn new(world: &mut World, node: usize) -> Self {
        world.nodes[node].raw = true;
        let key = world.nodes[node].key.clone();
        let signer = TestSigner::of(&key);
        Self {
            node,
            id: key.id(),
            key,
            provider: TestProvider::default(),
            signer,
            random: [node as u8; 32],
            group: None,
            counter: 0,
        }
    }

    pub fn session(&self) -> SessionId {
        session_id(&ROOM, &self.id, &self.random)
    }

    pub fn create(&mut self, extensions: Extensions<GroupContext>) {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(CIPHERSUITE)
            .use_ratchet_tree_extension(true)
            .with_group_context_extensions(extensions)
            .build();
        let id = GroupId::from_slice(self.session().as_bytes());
        let group = MlsGroup::new_with_group_id(&self.provider, &self.signer, &config, id, credential(self.id, &self.signer));
        self.group = Some(group.unwrap());
    }

    /// Says to be the writer of its session.
    pub fn speak(&mut self, world: &mut World, to: usize) {
        self.counter += 1;
        let group = self.group.as_ref().unwrap();
        let presence = Presence {
            device: self.id,
            writer: self.id,
            random: self.random,
            epoch: group.epoch().as_u64(),
            authenticator: authenticator(group.epoch_authenticator().as_slice()),
            size: group.members().count() as u32,
            acl_heads: world.nodes[self.node].acl.heads(),
            counter: self.counter,
            heard: vec![1],
            collecting: None,
        };
        let signed = presence.sign(&self.key, &ROOM);
        let sealed = seal_presence(&signed, &SECRET, &ROOM, &mut Seeded(self.counter));
        world.deliver(to, self.id, SessionFrame::Presence(sealed));
    }

    pub fn statement(&self, world: &World, commit: &[u8], welcome: Option<&[u8]>) -> Statement {
        let group = self.group.as_ref().unwrap();
        let hash = |bytes: &[u8]| OpHash(*blake3::hash(bytes).as_bytes());
        Statement {
            writer: self.id,
            random: self.random,
            epoch: group.epoch().as_u64(),
            authenticator: authenticator(group.epoch_authenticator().as_slice()),
            acl_heads: world.nodes[self.node].acl.heads(),
            commit: Some(hash(commit)),
            welcome: welcome.map(hash),
        }
    }

    /// Commits, enters the epoch, and gives the frames.
    pub fn commit(
        &mut self,
        world: &World,
        adds: Vec<KeyPackage>,
        removes: Vec<u32>,
    ) -> (CommitFrame, Option<(Statement, Vec<u8>)>) {
        let group = self.group.as_mut().unwrap();
        let bundle = group
            .commit_builder()
            .propose_adds(adds)
            .propose_removals(removes.into_iter().map(LeafNodeIndex::new))
            .force_self_update(true)
            .load_psks(&self.provider.storage)
            .unwrap()
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        let (commit, welcome, _) = bundle.into_messages();
        group.merge_pending_commit(&self.provider).unwrap();
        let (commit, welcome) = (commit.to_bytes().unwrap(), welcome.map(|welcome| welcome.to_bytes().unwrap()));
        let statement = self.statement(world, &commit, welcome.as_deref());
        let frame = CommitFrame { statement: statement.sign(&self.key, &ROOM), mls: commit, updates: Vec::new() };
        (frame, welcome.map(|welcome| (statement, welcome)))
    }

    pub fn welcome(&self, to: DeviceId, statement: &Statement, mls: Vec<u8>) -> SessionFrame {
        SessionFrame::Welcome(WelcomeFrame { to, statement: statement.sign(&self.key, &ROOM), mls })
    }

    /// Speaks until these have asked to be added, and adds them in one commit.
    pub fn gather(&mut self, world: &mut World, nodes: &[usize]) {
        let mut key_packages = Vec::new();
        for node in nodes {
            for _ in 0..60 {
                self.speak(world, *node);
                world.run(crate::support::ms(250));
                let asked = world.nodes[self.node].inbox.iter().rev().find_map(|(from, frame)| match frame {
                    SessionFrame::JoinReq(req) if *from == world.id(*node) => JoinReq::open(req, &ROOM).ok(),
                    _ => None,
                });
                if let Some(join) = asked.filter(|join| join.session == self.session()) {
                    key_packages.push(read_key_package(&self.provider, &join.key_package));
                    break;
                }
            }
        }
        assert_eq!(key_packages.len(), nodes.len(), "all ask");
        let (_, welcome) = self.commit(world, key_packages, Vec::new());
        let (statement, welcome) = welcome.unwrap();
        for node in nodes {
            let frame = self.welcome(world.id(*node), &statement, welcome.clone());
            world.deliver(*node, self.id, frame);
        }
    }

    /// Another self with the same keys and the same group: what it does from here on, the other has not done.
    pub fn fork(&self) -> Self {
        let provider = TestProvider::default();
        *provider.storage.values.write().unwrap() = self.provider.storage.values.read().unwrap().clone();
        let group = MlsGroup::load(&provider.storage, &GroupId::from_slice(self.session().as_bytes())).unwrap();
        Self {
            node: self.node,
            key: self.key.clone(),
            id: self.id,
            provider,
            signer: TestSigner::of(&self.key),
            random: self.random,
            group,
            counter: self.counter,
        }
    }
}

pub fn read_key_package(provider: &TestProvider, bytes: &[u8]) -> KeyPackage {
    KeyPackageIn::tls_deserialize_exact(bytes).unwrap().validate(provider.crypto(), ProtocolVersion::Mls10).unwrap()
}

pub fn encode_key_package(key_package: &KeyPackage) -> Vec<u8> {
    key_package.tls_serialize_detached().unwrap()
}
