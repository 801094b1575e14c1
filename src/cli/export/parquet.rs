//! Parquet: a session a row, the columns of CSV with types; attributes as JSON texts.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::encoder::Encoder;
use super::fields::PropertyTexts;
use super::output::Output;
use crate::model::Session;

/// Sessions that are in memory at a time: enough for columns to compress well.
const ROW_GROUP: usize = 100_000;

const SCHEMA: &str = "message session {
    required binary app_id (STRING);
    required binary session_id (STRING);
    required int64 started_at (TIMESTAMP(MILLIS, true));
    optional double duration;
    optional binary user_id (STRING);
    optional binary device_id (STRING);
    optional binary platform (STRING);
    optional binary os_version (STRING);
    optional binary app_version (STRING);
    optional binary device_model (STRING);
    optional binary country (STRING);
    optional binary language (STRING);
    optional binary attributes (STRING);
}";

/// See the module.
#[derive(Default)]
pub(super) struct Parquet {
    writer: Option<SerializedFileWriter<Vec<u8>>>,
    rows: Rows,
}

impl Encoder for Parquet {
    fn begin(&mut self, _: &mut Output) -> anyhow::Result<()> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("sessionmeter version ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        self.writer = Some(SerializedFileWriter::new(
            Vec::new(),
            schema,
            Arc::new(properties),
        )?);
        Ok(())
    }

    fn write(&mut self, sessions: &[Session], output: &mut Output) -> anyhow::Result<()> {
        for session in sessions {
            self.rows.push(session)?;
        }
        if self.rows.started_at.len() >= ROW_GROUP {
            self.write_group(output)
        } else {
            Ok(())
        }
    }

    fn finish(&mut self, output: &mut Output) -> anyhow::Result<()> {
        if !self.rows.started_at.is_empty() {
            self.write_group(output)?;
        }
        let writer = self.writer.take().context("the file was not begun")?;
        output.put(&writer.into_inner()?)
    }
}

impl Parquet {
    fn write_group(&mut self, output: &mut Output) -> anyhow::Result<()> {
        let writer = self.writer.as_mut().context("the file was not begun")?;
        let rows = std::mem::take(&mut self.rows);
        let mut group = writer.next_row_group()?;
        let mut texts = rows.texts.into_iter();
        let mut next = || texts.next().ok_or_else(|| anyhow!("a column has no values"));
        let mut index = 0;
        while let Some(mut column) = group.next_column()? {
            match index {
                2 => {
                    column
                        .typed::<Int64Type>()
                        .write_batch(&rows.started_at, None, None)?;
                }
                3 => {
                    let Optional { values, levels } = &rows.duration;
                    column
                        .typed::<DoubleType>()
                        .write_batch(values, Some(levels), None)?;
                }
                required_or_not => {
                    let Optional { values, levels } = next()?;
                    let levels = (required_or_not > 1).then_some(levels.as_slice());
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(&values, levels, None)?;
                }
            }
            column.close()?;
            index += 1;
        }
        group.close()?;
        writer.flush()?;
        output.put(&std::mem::take(writer.inner_mut()))
    }
}

/// Sessions by columns.
#[derive(Default)]
struct Rows {
    started_at: Vec<i64>,
    duration: Optional<f64>,
    /// All the others, in the order of the schema.
    texts: [Optional<ByteArray>; 11],
}

/// Values of a column, and for each row whether it has one.
struct Optional<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            levels: Vec::new(),
        }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(value.is_some().into());
        self.values.extend(value);
    }
}

impl Rows {
    fn push(&mut self, session: &Session) -> anyhow::Result<()> {
        let properties = PropertyTexts::of(session)?;
        let app = session.app().to_string();
        let texts = [
            Some(app.as_str()),
            Some(session.session_id()),
            session.user_id(),
            session.device_id(),
        ];
        self.started_at.push(session.started_at());
        self.duration
            .push(session.duration().map(|millis| f64::from(millis) / 1000.0));
        for (column, text) in self
            .texts
            .iter_mut()
            .zip(texts.into_iter().chain(properties.list()))
        {
            column.push(text.map(ByteArray::from));
        }
        Ok(())
    }
}
