//! The same deliveries as files of every format that `import` reads.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tempfile::NamedTempFile;

use super::{Delivery, Facts, delivery, lines};

/// Names as `--format` takes them.
pub const FORMATS: [&str; 4] = ["ndjson", "csv", "parquet", "currents"];
/// Deliveries in a block, or in a group of rows.
const BLOCK: u64 = 50_000;

/// All deliveries as a file on disk.
pub fn file(format: &str, apps: &[String], total: u64) -> NamedTempFile {
    match format {
        "csv" => on_disk(|out| csv(out, apps, total)),
        "parquet" => on_disk(|out| parquet(out, apps, total)),
        "currents" => on_disk(|out| currents(out, apps, total)),
        _ => lines(apps, total),
    }
}

fn on_disk(write: impl FnOnce(&mut BufWriter<&mut std::fs::File>)) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    let mut out = BufWriter::new(file.as_file_mut());
    write(&mut out);
    out.flush().unwrap();
    drop(out);
    file.as_file().sync_all().unwrap();
    file
}

fn csv(out: &mut impl Write, apps: &[String], total: u64) {
    writeln!(
        out,
        "app_id,session_id,user_id,started_at,duration,platform,os_version,app_version,language,country"
    )
    .unwrap();
    for index in 0..total {
        let delivery = delivery(index, total);
        let facts = Facts::of(&delivery, apps);
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},BR",
            facts.app,
            facts.session,
            facts.user,
            facts.time,
            delivery.duration,
            facts.platform,
            facts.os_version,
            facts.app_version,
            facts.language
        )
        .unwrap();
    }
}

fn parquet(out: &mut (impl Write + Send), apps: &[String], total: u64) {
    let schema = "message session {
        required binary app_id (STRING); required binary session_id (STRING); required binary user_id (STRING);
        required binary platform (STRING); required binary os_version (STRING); required binary app_version (STRING);
        required binary language (STRING); required int64 started_at (TIMESTAMP(MILLIS, true)); required double duration;
    }";
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(out, schema, Arc::new(properties)).unwrap();
    for from in (0..total).step_by(BLOCK as usize) {
        let deliveries: Vec<Delivery> = (from..(from + BLOCK).min(total))
            .map(|index| delivery(index, total))
            .collect();
        let facts: Vec<Facts<'_>> = deliveries.iter().map(|one| Facts::of(one, apps)).collect();
        let mut group = writer.next_row_group().unwrap();
        let texts: [fn(&Facts<'_>) -> String; 7] = [
            |facts| facts.app.into(),
            |facts| facts.session.to_string(),
            |facts| facts.user.clone(),
            |facts| facts.platform.into(),
            |facts| facts.os_version.clone(),
            |facts| facts.app_version.clone(),
            |facts| facts.language.into(),
        ];
        for text in texts {
            let values: Vec<ByteArray> = facts.iter().map(|facts| text(facts).as_str().into()).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, None, None)
                .unwrap();
            column.close().unwrap();
        }
        let mut column = group.next_column().unwrap().unwrap();
        let times: Vec<i64> = deliveries.iter().map(|one| one.started_at * 1000).collect();
        column
            .typed::<Int64Type>()
            .write_batch(&times, None, None)
            .unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let durations: Vec<f64> = deliveries.iter().map(|one| one.duration as f64).collect();
        column
            .typed::<DoubleType>()
            .write_batch(&durations, None, None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

fn currents(out: &mut impl Write, apps: &[String], total: u64) {
    const SYNC: &[u8; 16] = b"0123456789abcdef";
    let string = |name: &str| format!(r#"{{"name":"{name}","type":["null","string"]}}"#);
    let fields = [
        "session_id",
        "app_id",
        "external_user_id",
        "platform",
        "os_version",
    ]
    .map(string)
    .join(",");
    let schema = format!(
        r#"{{"type":"record","name":"SessionStart","namespace":"users.behaviors.app","fields":[{{"name":"time","type":"int"}},{fields}]}}"#
    );
    let mut bytes = b"Obj\x01".to_vec();
    long(&mut bytes, 2);
    for part in ["avro.schema", &schema, "avro.codec", "snappy"] {
        text(&mut bytes, part.as_bytes());
    }
    long(&mut bytes, 0);
    bytes.extend(SYNC);
    let mut records = Vec::new();
    for from in (0..total).step_by(BLOCK as usize) {
        let until = (from + BLOCK).min(total);
        records.clear();
        for index in from..until {
            let delivery = delivery(index, total);
            let facts = Facts::of(&delivery, apps);
            long(&mut records, delivery.started_at);
            for value in [
                facts.session.to_string().as_str(),
                facts.app,
                &facts.user,
                facts.platform,
                &facts.os_version,
            ] {
                long(&mut records, 1);
                text(&mut records, value.as_bytes());
            }
        }
        let mut crc = flate2::Crc::new();
        crc.update(&records);
        let mut block = snap::raw::Encoder::new().compress_vec(&records).unwrap();
        block.extend(crc.sum().to_be_bytes());
        long(&mut bytes, (until - from) as i64);
        text(&mut bytes, &block);
        bytes.extend(SYNC);
        out.write_all(&bytes).unwrap();
        bytes.clear();
    }
}

/// As Avro writes whole numbers.
fn long(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn text(bytes: &mut Vec<u8>, text: &[u8]) {
    long(bytes, text.len() as i64);
    bytes.extend(text);
}
