//! Avro object container files: just enough to read fields of records by name.
//!
//! Read block by block in bounded memory; fields that nobody asked for are passed over without being built. Whatever
//! is wrong with a file is told with its offset. `schema` reads the writer's schema, `decode` the values, `codec`
//! undoes the compression of blocks.

mod codec;
mod decode;
mod schema;

use std::fmt;
use std::io::{self, Read};

use self::codec::Codec;
use self::decode::Decoder;
pub use self::decode::Value;
use self::schema::Schema;

/// The first bytes of every such file.
const MAGIC: &[u8; 4] = b"Obj\x01";
/// Limits for what a damaged file may make us allocate.
const MAX_HEADER: usize = 16 * 1024 * 1024;
const MAX_BLOCK: usize = 256 * 1024 * 1024;

/// Why a file can't be read any further.
#[derive(Debug)]
pub struct AvroError {
    /// Bytes from the beginning of the file (after decompression, where the whole file is compressed).
    offset: u64,
    reason: String,
}

impl fmt::Display for AvroError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.reason, self.offset)
    }
}

impl std::error::Error for AvroError {}

/// A file whose header is read. Fields are given in the order in which they were asked for.
pub struct Container<R> {
    source: Counted<R>,
    schema: Schema,
    wanted: Vec<Option<usize>>,
    has: Vec<bool>,
    codec: Codec,
    sync: [u8; 16],
    /// Of the block that is being read: its bytes, decompressed, and how many of its records are left.
    block: Vec<u8>,
    position: usize,
    left: u64,
    /// Where that block begins in the file.
    block_offset: u64,
}

impl<R: Read> Container<R> {
    /// Reads the header. Of each record, the fields named in `wanted` are read.
    ///
    /// # Errors
    /// When this is no such file, or one that can't be read.
    pub fn open(source: R, wanted: &[&str]) -> Result<Self, AvroError> {
        let mut source = Counted { source, offset: 0 };
        let mut magic = [0; 4];
        let read = source.fill(&mut magic)?;
        if read < magic.len() || magic != *MAGIC {
            return Err(AvroError {
                offset: 0,
                reason: "this is not an Avro object container file".into(),
            });
        }
        let header = Header::read(&mut source)?;
        let at = |reason: String| AvroError { offset: 4, reason };
        let schema = Schema::parse(&header.schema).map_err(|reason| at(format!("the schema: {reason}")))?;
        let codec = Codec::new(&header.codec).map_err(at)?;
        let names: Vec<&str> = schema.fields().collect();
        Ok(Self {
            source,
            wanted: names
                .iter()
                .map(|name| wanted.iter().position(|field| field == name))
                .collect(),
            has: wanted.iter().map(|field| names.contains(field)).collect(),
            schema,
            codec,
            sync: header.sync,
            block: Vec::new(),
            position: 0,
            left: 0,
            block_offset: 0,
        })
    }

    /// The full name of the records' schema.
    pub fn schema_name(&self) -> &str {
        self.schema.name()
    }

    /// Whether records have the wanted field with this index.
    pub fn has_field(&self, index: usize) -> bool {
        self.has.get(index).copied().unwrap_or(false)
    }

    /// The wanted fields of the next record, `None` after the last.
    ///
    /// # Errors
    /// When the file is cut off or damaged here.
    pub fn next_record(&mut self) -> Result<Option<Vec<Value<'_>>>, AvroError> {
        while self.left == 0 {
            if self.position < self.block.len() {
                return Err(self.damaged("the block has more bytes than its records"));
            }
            if !self.next_block()? {
                return Ok(None);
            }
        }
        self.left -= 1;
        let mut decoder = Decoder::new(&self.schema, &self.block, self.position);
        let result = decoder.record(&self.wanted, self.has.len());
        let position = decoder.position();
        match result {
            // Otherwise a few bytes could stand for any number of records.
            Ok(_) if position == self.position => Err(self.damaged("the records have no content")),
            Ok(values) => {
                self.position = position;
                Ok(Some(values))
            }
            Err(reason) => Err(self.damaged(reason)),
        }
    }

    fn damaged(&self, reason: &str) -> AvroError {
        AvroError {
            offset: self.block_offset,
            reason: format!("{reason}, in the block"),
        }
    }

    fn next_block(&mut self) -> Result<bool, AvroError> {
        self.block_offset = self.source.offset;
        let Some(count) = self.source.first_long()? else {
            return Ok(false);
        };
        let size = self.source.long()?;
        let (Ok(count), Some(size)) = (u64::try_from(count), length(size, MAX_BLOCK)) else {
            return Err(self.damaged("the file is damaged"));
        };
        let data = self.source.bytes(size)?;
        let mut sync = [0; 16];
        self.source.exactly(&mut sync)?;
        if sync != self.sync {
            return Err(self.damaged("the file is damaged: the marker is missing behind what is here"));
        }
        self.block = match self.codec.decompress(data, MAX_BLOCK) {
            Ok(block) => block,
            Err(reason) => return Err(self.damaged(&reason)),
        };
        (self.position, self.left) = (0, count);
        Ok(true)
    }
}

fn length(number: i64, limit: usize) -> Option<usize> {
    usize::try_from(number).ok().filter(|length| *length <= limit)
}

/// What stands before the blocks.
struct Header {
    schema: Vec<u8>,
    codec: Vec<u8>,
    sync: [u8; 16],
}

impl Header {
    fn read<R: Read>(source: &mut Counted<R>) -> Result<Self, AvroError> {
        let mut header = Self {
            schema: Vec::new(),
            codec: b"null".to_vec(),
            sync: [0; 16],
        };
        let mut left = MAX_HEADER;
        loop {
            let mut entries = source.long()?;
            if entries == 0 {
                break;
            }
            if entries < 0 {
                source.long()?;
                entries = entries.saturating_neg();
            }
            for _ in 0..entries {
                let name = source.sized(&mut left)?;
                let value = source.sized(&mut left)?;
                match name.as_slice() {
                    b"avro.schema" => header.schema = value,
                    b"avro.codec" => header.codec = value,
                    _ => {}
                }
            }
        }
        source.exactly(&mut header.sync)?;
        Ok(header)
    }
}

/// A source that knows where it is.
struct Counted<R> {
    source: R,
    offset: u64,
}

impl<R: Read> Counted<R> {
    fn error(&self, reason: impl Into<String>) -> AvroError {
        AvroError {
            offset: self.offset,
            reason: reason.into(),
        }
    }

    /// As much as there is.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, AvroError> {
        let mut filled = 0;
        while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
            match self.source.read(space) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    self.offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error.to_string())),
            }
        }
        Ok(filled)
    }

    fn exactly(&mut self, buffer: &mut [u8]) -> Result<(), AvroError> {
        if self.fill(buffer)? == buffer.len() {
            Ok(())
        } else {
            Err(self.error("the file is cut off"))
        }
    }

    /// Allocates only as much as is there.
    fn bytes(&mut self, size: usize) -> Result<Vec<u8>, AvroError> {
        const STEP: usize = 1024 * 1024;
        let mut bytes = Vec::new();
        while bytes.len() < size {
            let start = bytes.len();
            bytes.resize(size.min(start + STEP), 0);
            self.exactly(bytes.get_mut(start..).unwrap_or_default())?;
        }
        Ok(bytes)
    }

    fn sized(&mut self, left: &mut usize) -> Result<Vec<u8>, AvroError> {
        let size = self.long()?;
        match length(size, *left) {
            Some(size) => {
                *left -= size;
                self.bytes(size)
            }
            None => Err(self.error("the header is damaged")),
        }
    }

    fn long(&mut self) -> Result<i64, AvroError> {
        self.first_long()?
            .ok_or_else(|| self.error("the file is cut off"))
    }

    /// `None` where the source ends before it.
    fn first_long(&mut self) -> Result<Option<i64>, AvroError> {
        let mut number = 0_u64;
        for index in 0..10 {
            let mut byte = [0];
            if self.fill(&mut byte)? == 0 {
                return match index {
                    0 => Ok(None),
                    _ => Err(self.error("the file is cut off")),
                };
            }
            let [byte] = byte;
            number |= u64::from(byte & 0x7F) << (7 * index).min(63);
            if byte & 0x80 == 0 {
                return Ok(Some(decode::zigzag(number)));
            }
        }
        Err(self.error("the file is damaged: a number has no end"))
    }
}

#[cfg(test)]
mod tests;
