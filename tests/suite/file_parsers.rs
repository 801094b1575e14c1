//! Files and bodies that came from anywhere: whatever they are, reading them neither panics nor takes much more memory
//! than they do.

use std::sync::Arc;

use crate::support::catalog::{APP, CATALOG};
use crate::support::faults::{change, changed};
use crate::support::memory::peak;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArrayType, Int64Type};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::collection::vec;
use proptest::prelude::*;
use sessionmeter::collect::avro::Container;
use sessionmeter::collect::currents::{self, Kind};
use sessionmeter::collect::parquet::Table;
use sessionmeter::collect::{Context, json, users};
use sessionmeter::model::StartLimits;

const NOW: i64 = 1_704_110_400_000;
/// A page of a Parquet file, the largest that is read. Room for a whole one is made before it is decompressed.
const MAX_PAGE: usize = 256 * 1024 * 1024;

fn context() -> Context<'static> {
    let (workspace, app) = CATALOG.app(APP.parse().unwrap()).unwrap();
    Context {
        workspace,
        default_app: Some(app.id),
        limits: StartLimits::new(NOW, None),
    }
}

/// Sessions and ends in a file of events; `None` where it can't be opened.
fn read_avro(bytes: &[u8]) -> Option<usize> {
    let mut file = Container::open(bytes, &currents::fields()).ok()?;
    let kind = Kind::of(file.schema_name(), |index| file.has_field(index)).ok()?;
    let mut found = 0;
    while let Ok(Some(record)) = file.next_record() {
        let read = if kind.is_end(&record) {
            currents::end(&record, &context()).is_ok()
        } else {
            currents::start(&record, &context()).is_ok()
        };
        if !read {
            currents::as_json(&record);
        }
        found += usize::from(read);
    }
    Some(found)
}

fn read_parquet(bytes: &Bytes) -> Option<usize> {
    let table = Table::open(bytes.clone(), &[], true).ok()?;
    let mut rows = table.rows().ok()?;
    let mut found = 0;
    while let Ok(Some(row)) = rows.next_row() {
        let read = table.session(&row, &context()).is_ok();
        if !read {
            table.as_json(&row);
        }
        found += usize::from(read);
    }
    Some(found)
}

fn read_json(bytes: &[u8]) -> Option<usize> {
    let batch = json::read_object(bytes, &context()).ok()?;
    Some(batch.sessions.len() + batch.refused.len())
}

fn read_ndjson(bytes: &[u8]) -> Option<usize> {
    let batch = json::read_lines(bytes, &context()).ok()?;
    Some(batch.sessions.len() + batch.refused.len())
}

fn read_users(bytes: &[u8]) -> Option<usize> {
    let users = users::read(bytes).ok()?;
    Some(users.updates.len() + users.refused.len())
}

/// What is read may take a few times its size; what was found, a kilobyte each.
fn check(length: usize, room: usize, read: impl FnOnce() -> Option<usize>) {
    context();
    let mut found = 0;
    let held = peak(|| found = read().unwrap_or(0));
    let allowed = 512 * 1024 + 16 * length + 1024 * found + room;
    assert!(held <= allowed, "{held} bytes for {length}, {found} found");
}

fn check_all(bytes: Vec<u8>) {
    let length = bytes.len();
    // What is compressed takes its room after decompression: a few hundred bytes grow to no more than this here.
    check(length, 1 << 20, || read_avro(&bytes));
    check(length, 0, || read_json(&bytes));
    check(length, 0, || read_ndjson(&bytes));
    check(length, 0, || read_users(&bytes));
    let bytes = Bytes::from(bytes);
    check(length, MAX_PAGE, || read_parquet(&bytes));
}

/// As Avro writes whole numbers.
fn long(number: i64) -> Vec<u8> {
    let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn text(text: &[u8]) -> Vec<u8> {
    [long(text.len() as i64), text.to_vec()].concat()
}

fn valid_avro(codec: &str) -> Vec<u8> {
    let schema = br#"{"type":"record","name":"SessionStart","namespace":"users.behaviors.app","fields":[
        {"name":"id","type":"string"},{"name":"user_id","type":"string"},{"name":"time","type":"int"},
        {"name":"session_id","type":["null","string"]},{"name":"app_id","type":["null","string"]},
        {"name":"tags","type":{"type":"map","values":{"type":"array","items":"double"}}}]}"#;
    const SYNC: &[u8; 16] = b"0123456789abcdef";
    let record = |number: i64| {
        [
            text(b"id"),
            text(b"u1"),
            long(1_704_000_000 + number),
            long(1),
            text(format!("s{number}").as_bytes()),
            long(0),
            [long(1), text(b"t"), long(1), vec![0; 8], long(0), long(0)].concat(),
        ]
        .concat()
    };
    let records: Vec<u8> = (0..20).flat_map(record).collect();
    let block = match codec {
        "deflate" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, &records).unwrap();
            encoder.finish().unwrap()
        }
        "zstandard" => zstd::encode_all(records.as_slice(), 1).unwrap(),
        "snappy" => {
            let mut crc = flate2::Crc::new();
            crc.update(&records);
            let mut block = snap::raw::Encoder::new().compress_vec(&records).unwrap();
            block.extend(crc.sum().to_be_bytes());
            block
        }
        _ => records,
    };
    [
        b"Obj\x01".to_vec(),
        long(2),
        text(b"avro.schema"),
        text(schema),
        text(b"avro.codec"),
        text(codec.as_bytes()),
        long(0),
        SYNC.to_vec(),
        long(20),
        text(&block),
        SYNC.to_vec(),
    ]
    .concat()
}

fn valid_parquet(properties: WriterPropertiesBuilder) -> Vec<u8> {
    let schema = "message m { required binary session_id (STRING); required int64 started_at (TIMESTAMP(MILLIS, true)); \
                  optional binary user_id (STRING); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let texts = |prefix: &str| -> Vec<_> {
        (0..20)
            .map(|number| {
                format!(
                    "{prefix}{}",
                    number % 7 + 13 * usize::from(prefix == "s") * number
                )
                .as_str()
                .into()
            })
            .collect()
    };
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<ByteArrayType>()
        .write_batch(&texts("s"), None, None)
        .unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let times: Vec<i64> = (0..20).map(|number| NOW - 1000 * number).collect();
    column
        .typed::<Int64Type>()
        .write_batch(&times, None, None)
        .unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<ByteArrayType>()
        .write_batch(&texts("u"), Some(&[1; 20]), None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

fn valid_json() -> Vec<u8> {
    br#"{"sessions":[{"session_id":"a","started_at":1704100000,"duration":1.5,"attributes":{"plan":"pro","seats":3}},
        {"session_id":"b","started_at":"2024-01-01T00:00:00-05:00","ended_at":"2024-01-01T00:10:00-05:00","country":"BR"}]}"#
        .to_vec()
}

fn valid_ndjson() -> Vec<u8> {
    b"{\"session_id\":\"a\",\"started_at\":1704100000}\n\n{\"session_id\":\"b\",\"started_at\":1704100000000,\"language\":\"pt-BR\"}\r\n"
        .to_vec()
}

fn valid_users() -> Vec<u8> {
    br#"{"attributes":[{"external_id":"u1","plan":"pro","country":null},{"external_id":"u2","seats":[1]}]}"#
        .to_vec()
}

fn valid() -> Vec<Vec<u8>> {
    let mut all: Vec<_> = ["null", "deflate", "zstandard", "snappy"].map(valid_avro).into();
    let compressions = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(parquet::basic::GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ];
    let properties = WriterProperties::builder;
    all.extend(compressions.map(|compression| valid_parquet(properties().set_compression(compression))));
    for encoding in [Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY] {
        let mut properties = properties().set_dictionary_enabled(false);
        for column in ["session_id", "user_id"] {
            properties = properties.set_column_encoding(column.into(), encoding);
        }
        let times = properties.set_column_encoding("started_at".into(), Encoding::DELTA_BINARY_PACKED);
        all.push(valid_parquet(times));
    }
    all.extend([valid_json(), valid_ndjson(), valid_users()]);
    all
}

#[test]
fn the_valid_ones_are_valid() {
    for (number, bytes) in valid().into_iter().enumerate() {
        let found = match number {
            0..4 => (read_avro(&bytes), Some(20)),
            4..10 => (read_parquet(&bytes.into()), Some(20)),
            10 => (read_json(&bytes), Some(2)),
            11 => (read_ndjson(&bytes), Some(2)),
            _ => (read_users(&bytes), Some(2)),
        };
        assert_eq!(found.0, found.1, "{number}");
    }
}

/// Every byte of every kind of file, with each of its bits turned over and with the largest number in its place.
#[test]
fn each_byte_may_be_wrong() {
    for bytes in valid().into_iter().take(10) {
        for at in 0..bytes.len() {
            for change in [1_u8, 8, 64, 128, 255] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                check_all(damaged);
            }
        }
    }
}

/// An enormous length or count, wherever one may stand.
#[test]
fn lengths_may_be_enormous() {
    for bytes in valid().into_iter().take(10) {
        for at in 0..bytes.len() {
            // In the encoding of lengths, and in that of numbers that may be negative.
            for (size, first) in [(5, 0xFF), (5, 0xFE), (9, 0xFF), (9, 0xFE)] {
                let mut damaged = bytes.clone();
                let enormous = [vec![first], vec![0xFF; size - 2], vec![0x07]].concat();
                damaged.splice(at..=at, enormous);
                check_all(damaged);
            }
        }
    }
}

#[test]
fn many_small_things_take_no_more_memory_than_their_bytes() {
    let many = 200_000;
    let list = |item: &str| vec![item; many].join(",");
    for body in [
        format!(r#"{{"sessions":[{}]}}"#, list("{}")),
        format!(r#"{{"attributes":[{}]}}"#, list("{}")),
        format!(r#"{{"sessions":[{{"attributes":{{"a":[{}]}}}}]}}"#, list("1")),
        "{}\n".repeat(many),
        "[".repeat(many),
        r#"{"a":"#.repeat(many),
    ] {
        check_all(body.into_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..300)) {
        check_all([b"Obj\x01", bytes.as_slice()].concat());
        check_all([b"PAR1", bytes.as_slice(), b"\x10\0\0\0PAR1"].concat());
        check_all(bytes);
    }

    #[test]
    fn valid_bytes_with_faults(which in 0..13_usize, changes in vec(change(), 1..6)) {
        check_all(changed(valid().swap_remove(which), &changes));
    }
}
