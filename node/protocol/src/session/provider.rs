//! What openmls runs on: its cryptography, random bytes, and a store that forgets. Nothing of a session is ever written anywhere: only
//! the key pairs that openmls reads back are kept, in RAM, as long as the group lives.

use core::fmt;
use std::sync::{Arc, Mutex};

use openmls_rust_crypto::{MemoryStorage, MemoryStorageError, RustCrypto};
use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use openmls_traits::types::SignatureScheme;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::identity::DeviceKey;

/// Bytes that follow from one seed and cannot be told from random ones: BLAKE3 as a generator that replaces its key after each use.
/// Openmls's own HPKE draws its ephemeral keys from the operating system beside it: no argument of openmls reaches there.
#[derive(Clone)]
pub(crate) struct Seed(Arc<Mutex<Zeroizing<[u8; 32]>>>);

impl Seed {
    pub(crate) fn new(rng: &mut impl CryptoRng) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(key.as_mut());
        Self(Arc::new(Mutex::new(key)))
    }

    pub(crate) fn fill(&self, bytes: &mut [u8]) {
        // A poisoned lock holds a whole key all the same.
        let mut key = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut output = blake3::Hasher::new_keyed(&key).finalize_xof();
        output.fill(key.as_mut());
        output.fill(bytes);
    }

    pub(crate) fn array<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

impl OpenMlsRand for Seed {
    type Error = core::convert::Infallible;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Self::Error> {
        Ok(self.array())
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Self::Error> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        Ok(bytes)
    }
}

/// One for each group, so that everything of a group goes with it.
pub(crate) struct Provider {
    crypto: Arc<RustCrypto>,
    seed: Seed,
    store: KeyStore,
}

impl Provider {
    pub(crate) fn new(crypto: Arc<RustCrypto>, seed: Seed) -> Self {
        Self { crypto, seed, store: KeyStore::default() }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = RustCrypto;
    type RandProvider = Seed;
    type StorageProvider = KeyStore;

    fn storage(&self) -> &KeyStore {
        &self.store
    }

    fn crypto(&self) -> &RustCrypto {
        &self.crypto
    }

    fn rand(&self) -> &Seed {
        &self.seed
    }
}

/// The device key as MLS signs with it.
#[derive(Clone, Debug)]
pub(crate) struct MlsSigner(pub(crate) Arc<DeviceKey>);

impl Signer for MlsSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign_mls(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Keeps the key pairs that openmls reads back. All else that it would write is the state of a group, which lives in the group itself:
/// a copy here would be encoded anew with every message, and would hold ratchets longer than the group does.
#[derive(Default)]
pub(crate) struct KeyStore(MemoryStorage);

type Error = MemoryStorageError;
const V: u16 = CURRENT_VERSION;

macro_rules! not_kept {
    ($($name:ident<$($kind:ident),*>($($argument:ident),*);)*) => {
        $(fn $name<$($kind: traits::$kind<V>),*>(&self, $(_: &$argument),*) -> Result<(), Error> {
            Ok(())
        })*
    };
}

macro_rules! not_there {
    ($($name:ident<$($kind:ident),*>($key:ident) -> $value:ident;)*) => {
        $(fn $name<$($kind: traits::$kind<V>),*>(&self, _: &$key) -> Result<Option<$value>, Error> {
            Ok(None)
        })*
    };
}

impl StorageProvider<V> for KeyStore {
    type Error = Error;

    not_kept! {
        write_mls_join_config<GroupId, MlsGroupJoinConfig>(GroupId, MlsGroupJoinConfig);
        append_own_leaf_node<GroupId, LeafNode>(GroupId, LeafNode);
        queue_proposal<GroupId, ProposalRef, QueuedProposal>(GroupId, ProposalRef, QueuedProposal);
        write_tree<GroupId, TreeSync>(GroupId, TreeSync);
        write_interim_transcript_hash<GroupId, InterimTranscriptHash>(GroupId, InterimTranscriptHash);
        write_context<GroupId, GroupContext>(GroupId, GroupContext);
        write_confirmation_tag<GroupId, ConfirmationTag>(GroupId, ConfirmationTag);
        write_group_state<GroupState, GroupId>(GroupId, GroupState);
        write_message_secrets<GroupId, MessageSecrets>(GroupId, MessageSecrets);
        write_resumption_psk_store<GroupId, ResumptionPskStore>(GroupId, ResumptionPskStore);
        write_own_leaf_index<GroupId, LeafNodeIndex>(GroupId, LeafNodeIndex);
        write_group_epoch_secrets<GroupId, GroupEpochSecrets>(GroupId, GroupEpochSecrets);
        write_signature_key_pair<SignaturePublicKey, SignatureKeyPair>(SignaturePublicKey, SignatureKeyPair);
        write_psk<PskId, PskBundle>(PskId, PskBundle);
        remove_proposal<GroupId, ProposalRef>(GroupId, ProposalRef);
        delete_own_leaf_nodes<GroupId>(GroupId);
        delete_group_config<GroupId>(GroupId);
        delete_tree<GroupId>(GroupId);
        delete_confirmation_tag<GroupId>(GroupId);
        delete_group_state<GroupId>(GroupId);
        delete_context<GroupId>(GroupId);
        delete_interim_transcript_hash<GroupId>(GroupId);
        delete_message_secrets<GroupId>(GroupId);
        delete_all_resumption_psk_secrets<GroupId>(GroupId);
        delete_own_leaf_index<GroupId>(GroupId);
        delete_group_epoch_secrets<GroupId>(GroupId);
        clear_proposal_queue<GroupId, ProposalRef>(GroupId);
        delete_signature_key_pair<SignaturePublicKey>(SignaturePublicKey);
        delete_psk<PskId>(PskId);
    }

    not_there! {
        mls_group_join_config<GroupId, MlsGroupJoinConfig>(GroupId) -> MlsGroupJoinConfig;
        tree<GroupId, TreeSync>(GroupId) -> TreeSync;
        group_context<GroupId, GroupContext>(GroupId) -> GroupContext;
        interim_transcript_hash<GroupId, InterimTranscriptHash>(GroupId) -> InterimTranscriptHash;
        confirmation_tag<GroupId, ConfirmationTag>(GroupId) -> ConfirmationTag;
        group_state<GroupState, GroupId>(GroupId) -> GroupState;
        message_secrets<GroupId, MessageSecrets>(GroupId) -> MessageSecrets;
        resumption_psk_store<GroupId, ResumptionPskStore>(GroupId) -> ResumptionPskStore;
        own_leaf_index<GroupId, LeafNodeIndex>(GroupId) -> LeafNodeIndex;
        group_epoch_secrets<GroupId, GroupEpochSecrets>(GroupId) -> GroupEpochSecrets;
        signature_key_pair<SignaturePublicKey, SignatureKeyPair>(SignaturePublicKey) -> SignatureKeyPair;
        psk<PskBundle, PskId>(PskId) -> PskBundle;
    }

    fn own_leaf_nodes<GroupId: traits::GroupId<V>, LeafNode: traits::LeafNode<V>>(
        &self,
        _: &GroupId,
    ) -> Result<Vec<LeafNode>, Error> {
        Ok(Vec::new())
    }

    fn queued_proposal_refs<GroupId: traits::GroupId<V>, ProposalRef: traits::ProposalRef<V>>(
        &self,
        _: &GroupId,
    ) -> Result<Vec<ProposalRef>, Error> {
        Ok(Vec::new())
    }

    fn queued_proposals<
        GroupId: traits::GroupId<V>,
        ProposalRef: traits::ProposalRef<V>,
        QueuedProposal: traits::QueuedProposal<V>,
    >(
        &self,
        _: &GroupId,
    ) -> Result<Vec<(ProposalRef, QueuedProposal)>, Error> {
        Ok(Vec::new())
    }

    fn write_encryption_key_pair<EncryptionKey: traits::EncryptionKey<V>, HpkeKeyPair: traits::HpkeKeyPair<V>>(
        &self,
        public_key: &EncryptionKey,
        key_pair: &HpkeKeyPair,
    ) -> Result<(), Error> {
        self.0.write_encryption_key_pair(public_key, key_pair)
    }

    fn write_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<V>,
        EpochKey: traits::EpochKey<V>,
        HpkeKeyPair: traits::HpkeKeyPair<V>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
        key_pairs: &[HpkeKeyPair],
    ) -> Result<(), Error> {
        self.0.write_encryption_epoch_key_pairs(group_id, epoch, leaf_index, key_pairs)
    }

    fn write_key_package<HashReference: traits::HashReference<V>, KeyPackage: traits::KeyPackage<V>>(
        &self,
        hash_ref: &HashReference,
        key_package: &KeyPackage,
    ) -> Result<(), Error> {
        self.0.write_key_package(hash_ref, key_package)
    }

    fn encryption_key_pair<HpkeKeyPair: traits::HpkeKeyPair<V>, EncryptionKey: traits::EncryptionKey<V>>(
        &self,
        public_key: &EncryptionKey,
    ) -> Result<Option<HpkeKeyPair>, Error> {
        self.0.encryption_key_pair(public_key)
    }

    fn encryption_epoch_key_pairs<
        GroupId: traits::GroupId<V>,
        EpochKey: traits::EpochKey<V>,
        HpkeKeyPair: traits::HpkeKeyPair<V>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<Vec<HpkeKeyPair>, Error> {
        self.0.encryption_epoch_key_pairs(group_id, epoch, leaf_index)
    }

    fn key_package<KeyPackageRef: traits::HashReference<V>, KeyPackage: traits::KeyPackage<V>>(
        &self,
        hash_ref: &KeyPackageRef,
    ) -> Result<Option<KeyPackage>, Error> {
        self.0.key_package(hash_ref)
    }

    fn delete_encryption_key_pair<EncryptionKey: traits::EncryptionKey<V>>(
        &self,
        public_key: &EncryptionKey,
    ) -> Result<(), Error> {
        self.0.delete_encryption_key_pair(public_key)
    }

    fn delete_encryption_epoch_key_pairs<GroupId: traits::GroupId<V>, EpochKey: traits::EpochKey<V>>(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<(), Error> {
        self.0.delete_encryption_epoch_key_pairs(group_id, epoch, leaf_index)
    }

    fn delete_key_package<KeyPackageRef: traits::HashReference<V>>(&self, hash_ref: &KeyPackageRef) -> Result<(), Error> {
        self.0.delete_key_package(hash_ref)
    }
}
