//! Messages by kind, as `[kind, body]`, where a kind of a newer minor version is read as such instead of failing. It never keeps the
//! body of what it does not know.

/// Defines an enum of messages. Each kind has a number that never changes its meaning; the body is a CBOR map.
macro_rules! open_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$kind_doc:meta])* $number:literal => $kind:ident($body:ty)),* $(,)? }) => {
        $(#[$doc])*
        pub enum $name {
            $($(#[$kind_doc])* $kind($body),)*
            /// Of a newer minor version: to be ignored.
            Unknown(u32),
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                ctx: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.array(2)?;
                match self {
                    $(Self::$kind(body) => {
                        e.u32($number)?;
                        minicbor::Encode::encode(body, e, ctx)
                    })*
                    Self::Unknown(kind) => {
                        e.u32(*kind)?.map(0)?;
                        Ok(())
                    }
                }
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
                if d.array()? != Some(2) {
                    return Err(minicbor::decode::Error::message("expected a kind and a body"));
                }
                match d.u32()? {
                    $($number => Ok(Self::$kind(minicbor::Decode::decode(d, ctx)?)),)*
                    kind => {
                        d.skip()?;
                        Ok(Self::Unknown(kind))
                    }
                }
            }
        }
    };
}

pub(crate) use open_enum;
