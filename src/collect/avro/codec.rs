//! Compression of blocks.

use std::io::Read;

/// How the blocks of a file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Null,
    Deflate,
    Zstandard,
    Snappy,
}

impl Codec {
    pub(super) fn new(name: &[u8]) -> Result<Self, String> {
        match name {
            b"null" | b"" => Ok(Self::Null),
            b"deflate" => Ok(Self::Deflate),
            b"zstandard" => Ok(Self::Zstandard),
            b"snappy" => Ok(Self::Snappy),
            other => {
                let shown: String = String::from_utf8_lossy(other).chars().take(100).collect();
                Err(format!(
                    "blocks must be compressed with deflate, zstandard or snappy, or not at all; received '{shown}'"
                ))
            }
        }
    }

    /// The content of a block, which must not have more than `limit` bytes.
    pub(super) fn decompress(self, data: Vec<u8>, limit: usize) -> Result<Vec<u8>, String> {
        match self {
            Self::Null => Ok(data),
            Self::Deflate => read(flate2::read::DeflateDecoder::new(data.as_slice()), limit),
            Self::Zstandard => {
                let decoder = zstd::stream::read::Decoder::with_buffer(data.as_slice());
                read(decoder.map_err(|error| error.to_string())?, limit)
            }
            Self::Snappy => snappy(&data, limit),
        }
    }
}

fn read(decoder: impl Read, limit: usize) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let limited = decoder.take(limit as u64 + 1).read_to_end(&mut content);
    limited.map_err(|error| format!("the compressed data is damaged ({error})"))?;
    if content.len() > limit {
        Err(format!("there are more than {limit} bytes"))
    } else {
        Ok(content)
    }
}

/// Behind the compressed data stands a checksum of the content.
fn snappy(data: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let damaged = || "the compressed data is damaged".to_owned();
    let (compressed, checksum) = data.split_last_chunk::<4>().ok_or_else(damaged)?;
    let length = snap::raw::decompress_len(compressed).map_err(|_| damaged())?;
    if length > limit {
        return Err(format!("there are more than {limit} bytes"));
    }
    // Three bytes stand for 64 at most. What says more is damaged, and must not be given the room.
    if length > compressed.len().saturating_mul(22) {
        return Err(damaged());
    }
    let content = snap::raw::Decoder::new()
        .decompress_vec(compressed)
        .map_err(|_| damaged())?;
    let mut crc = flate2::Crc::new();
    crc.update(&content);
    if crc.sum() == u32::from_be_bytes(*checksum) {
        Ok(content)
    } else {
        Err(damaged())
    }
}
